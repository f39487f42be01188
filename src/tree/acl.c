/* SPDX-License-Identifier: Apache-2.0 */
#include "acl.h"

#include <string.h>

#include "code.h"
#include "network.h"

bool zks__acls_init(struct zks__acls *acls, const struct zks__mem *mem)
{
    acls->max_entries = acls->max_size = 0;
    return zks__map_init(&acls->lists, mem);
}

void zks__acls_close(struct zks__acls *acls)
{
    size_t bucket = 0;
    for (struct zks__link *l = zks__map_take(&acls->lists, &bucket); l != NULL;
         l = zks__map_take(&acls->lists, &bucket)) {
        zks__mem_free(acls->lists.mem, l);
    }
    zks__map_close(&acls->lists);
}

static bool same_id(const struct zks__id *a, const struct zks__id *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->id, b->id) == 0;
}

static bool is_ip(const struct zks__id *id)
{
    return strcmp(id->scheme, "ip") == 0;
}

static bool is_anyone(const struct zks__id *id)
{
    static const struct zks__id anyone = {"world", "anyone"};
    return same_id(id, &anyone);
}

/* Java's split(":") makes two parts of it: exactly one colon that separates something, where empty
 * parts at the end do not count. */
static bool digest_valid(const char *id)
{
    size_t len = strlen(id);
    while (len > 0 && id[len - 1] == ':') {
        len--;
    }
    const char *colon = memchr(id, ':', len);
    return colon != NULL && memchr(colon + 1, ':', len - (size_t)(colon + 1 - id)) == NULL;
}

static bool id_valid(const struct zks__id *id)
{
    struct zks__network network;
    if (is_ip(id)) {
        return zks__network_parse(id->id, &network);
    }
    return is_anyone(id) || (strcmp(id->scheme, "digest") == 0 && digest_valid(id->id));
}

/* Of a connection's own identities those that it had to prove. */
static bool is_proven(const struct zks__id *id)
{
    return strcmp(id->scheme, "digest") == 0;
}

/* Where a list is put together: in a first pass it is only measured and hashed. */
struct writer {
    struct zks__acl *acl; /* NULL to measure. */
    char *text;           /* Where the next text goes. */
    size_t n;
    size_t networks; /* Entries of the scheme "ip". */
    size_t text_len; /* With the zero bytes at their ends. */
    uint64_t hash;
};

enum {
    NUMBERS = 12,             /* Of an entry: its permissions, and how long its two texts are. */
    ENTRY_SIZE = NUMBERS - 2, /* Without the zero bytes of the two. */
    KEY_ALIGNMENT = _Alignof(struct zks__ace_key)
};

static size_t size_of(const struct writer *w)
{
    return w->text_len + w->n * ENTRY_SIZE;
}

static bool is_too_long(const struct zks__acls *acls, size_t n, size_t size)
{
    return (acls->max_entries != 0 && n > acls->max_entries) ||
           (acls->max_size != 0 && size > acls->max_size);
}

static const char *write_text(struct writer *w, const char *text)
{
    size_t len = strlen(text) + 1;
    const char *copy = w->text;
    w->text_len += len;
    w->hash = zks__hash_number(w->hash ^ zks__hash_text(text));
    if (w->acl != NULL) {
        memcpy(w->text, text, len);
        w->text += len;
    }
    return copy;
}

static void write_ace(struct writer *w, int32_t perms, const struct zks__id *id)
{
    const char *scheme = write_text(w, id->scheme);
    const char *text = write_text(w, id->id);
    w->networks += is_ip(id);
    w->hash = zks__hash_number(w->hash ^ (uint32_t)perms);
    if (w->acl != NULL) {
        w->acl->aces[w->n] = (struct zks__ace){perms, {scheme, text}};
    }
    w->n++;
}

static bool is_repeated(const struct zks__ace *asked, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (asked[i].perms == asked[at].perms && same_id(&asked[i].id, &asked[at].id)) {
            return true;
        }
    }
    return false;
}

/* Each entry is compared with all before it, so it matters that the list is not long to begin with. */
static int write_list(const struct zks__acls *acls, struct writer *w, const struct zks__ace *asked,
                      size_t n, const struct zks__ids *ids)
{
    if (is_too_long(acls, n, 0)) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_too_long(acls, w->n, size_of(w))) {
            return ZKS__Z_QUOTAEXCEEDED;
        }
        if (is_repeated(asked, i)) {
            continue;
        }
        if (strcmp(asked[i].id.scheme, "auth") != 0) {
            if (!id_valid(&asked[i].id)) {
                return ZKS__Z_INVALIDACL;
            }
            write_ace(w, asked[i].perms, &asked[i].id);
            continue;
        }
        size_t before = w->n;
        for (size_t j = 0; j < ids->n; j++) {
            if (is_proven(&ids->id[j])) {
                write_ace(w, asked[i].perms, &ids->id[j]);
            }
        }
        if (w->n == before) {
            return ZKS__Z_INVALIDACL;
        }
    }
    if (is_too_long(acls, w->n, size_of(w))) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
    return n > 0 ? 0 : ZKS__Z_INVALIDACL;
}

static bool same_list(const struct zks__acl *a, const struct zks__acl *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->aces[i].perms != b->aces[i].perms || !same_id(&a->aces[i].id, &b->aces[i].id)) {
            return false;
        }
    }
    return true;
}

/* Goes from measuring to writing; false where there is no memory. */
static bool begin_list(const struct zks__acls *acls, struct writer *w)
{
    size_t aces = sizeof(struct zks__acl) + w->n * sizeof(struct zks__ace);
    size_t keys = (aces + KEY_ALIGNMENT - 1) / KEY_ALIGNMENT * KEY_ALIGNMENT;
    size_t networks = keys + (w->n - w->networks) * sizeof(struct zks__ace_key);
    size_t texts = networks + w->networks * sizeof(struct zks__ace_network);
    char *made = zks__mem_alloc(acls->lists.mem, texts + w->text_len);
    if (made == NULL) {
        return false;
    }
    *w = (struct writer){.acl = (struct zks__acl *)(void *)made, .text = made + texts};
    w->acl->keys = (struct zks__ace_key *)(void *)(made + keys);
    w->acl->networks = (struct zks__ace_network *)(void *)(made + networks);
    return true;
}

static uint64_t hash_of(const struct zks__id *id)
{
    return zks__hash_number(zks__hash_text(id->scheme) ^ zks__hash_text(id->id));
}

/* Of the first `n` keys the number of those below a hash. */
static size_t find_key(const struct zks__acl *acl, size_t n, uint64_t hash)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (acl->keys[middle].hash < hash) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

static void add_key(struct zks__acl *acl, size_t n, size_t at)
{
    uint64_t hash = hash_of(&acl->aces[at].id);
    size_t place = find_key(acl, n, hash);
    memmove(acl->keys + place + 1, acl->keys + place, (n - place) * sizeof *acl->keys);
    acl->keys[place] = (struct zks__ace_key){hash, at};
}

/* Makes it fast to ask who may do what, since one request can ask some ten thousand times. */
static void index_list(struct zks__acl *acl)
{
    size_t n_keys = 0;
    acl->n_networks = 0;
    acl->anyone = 0;
    for (size_t i = 0; i < acl->n; i++) {
        const struct zks__ace *ace = &acl->aces[i];
        acl->anyone |= is_anyone(&ace->id) ? ace->perms : 0;
        if (is_ip(&ace->id)) {
            struct zks__ace_network *to = &acl->networks[acl->n_networks++];
            to->perms = zks__network_parse(ace->id.id, &to->network) ? ace->perms : 0;
        } else {
            add_key(acl, n_keys++, i);
        }
    }
}

/* The list that has been written, or the same one that was there. */
static struct zks__acl *end_list(struct zks__acls *acls, const struct writer *w)
{
    struct zks__acl *made = w->acl;
    made->n = w->n;
    made->size = size_of(w);
    made->uses = 1;
    for (struct zks__link *l = zks__map_first(&acls->lists, w->hash); l != NULL;
         l = zks__map_next(l)) {
        struct zks__acl *there = (struct zks__acl *)l;
        if (same_list(there, made)) {
            zks__mem_free(acls->lists.mem, made);
            there->uses++;
            return there;
        }
    }
    index_list(made);
    zks__map_add(&acls->lists, &made->link, w->hash);
    return made;
}

int zks__acl_make(struct zks__acls *acls, const struct zks__ace *asked, size_t n,
                  const struct zks__ids *ids, struct zks__acl **acl)
{
    struct writer w = {.hash = 0};
    int rc = write_list(acls, &w, asked, n, ids);
    if (rc != 0) {
        return rc;
    }
    if (!begin_list(acls, &w)) {
        return ZKS__Z_SYSTEMERROR;
    }
    (void)write_list(acls, &w, asked, n, ids);
    *acl = end_list(acls, &w);
    return 0;
}

struct zks__acl *zks__acl_restore(struct zks__acls *acls, const struct zks__ace *aces, size_t n)
{
    struct writer w = {.hash = 0};
    for (size_t i = 0; i < n; i++) {
        write_ace(&w, aces[i].perms, &aces[i].id);
    }
    if (!begin_list(acls, &w)) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        write_ace(&w, aces[i].perms, &aces[i].id);
    }
    return end_list(acls, &w);
}

void zks__acl_drop(struct zks__acls *acls, struct zks__acl *acl)
{
    if (acl != NULL && --acl->uses == 0) {
        zks__map_remove(&acls->lists, &acl->link);
        zks__mem_free(acls->lists.mem, acl);
    }
}

size_t zks__acl_size(const struct zks__acl *acl)
{
    return acl != NULL ? acl->size : 0;
}

static bool allows_address(const struct zks__acl *acl, int32_t perms, const struct zks__id *who)
{
    struct zks__network address;
    if (acl->n_networks == 0 || strchr(who->id, '/') != NULL ||
        !zks__network_parse(who->id, &address)) {
        return false;
    }
    for (size_t i = 0; i < acl->n_networks; i++) {
        const struct zks__ace_network *meant = &acl->networks[i];
        if ((meant->perms & perms) != 0 && zks__network_has(&meant->network, &address)) {
            return true;
        }
    }
    return false;
}

static bool allows_id(const struct zks__acl *acl, int32_t perms, const struct zks__id *who)
{
    size_t n = acl->n - acl->n_networks;
    uint64_t hash = n > 0 ? hash_of(who) : 0;
    for (size_t i = find_key(acl, n, hash); i < n && acl->keys[i].hash == hash; i++) {
        const struct zks__ace *ace = &acl->aces[acl->keys[i].at];
        if ((ace->perms & perms) != 0 && same_id(who, &ace->id)) {
            return true;
        }
    }
    return false;
}

bool zks__acl_allows(const struct zks__acl *acl, int32_t perms, const struct zks__ids *ids)
{
    if (acl == NULL || (acl->anyone & perms) != 0) {
        return true;
    }
    for (size_t i = 0; i < ids->n; i++) {
        const struct zks__id *who = &ids->id[i];
        if (strcmp(who->scheme, "super") == 0 ||
            (is_ip(who) ? allows_address : allows_id)(acl, perms, who)) {
            return true;
        }
    }
    return false;
}
