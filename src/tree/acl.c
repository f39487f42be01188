/* SPDX-License-Identifier: Apache-2.0 */
#include "acl.h"

#include <string.h>

#include "code.h"

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

static bool is_anyone(const struct zks__id *id)
{
    static const struct zks__id anyone = {"world", "anyone"};
    return same_id(id, &anyone);
}

/* A whole number as Java's Integer.parseInt() takes it, up to `max`; -1 for anything else. */
static int parse_number(const char *text, size_t len, int max)
{
    int value = 0;
    size_t at = len > 1 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
    if (len == 0) {
        return -1;
    }
    for (; at < len; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return -1;
        }
        value = value * 10 + (text[at] - '0');
        if (value > max) {
            return -1;
        }
    }
    return text[0] == '-' && value != 0 ? -1 : value;
}

/* An address, or a network of those whose first `bits` are the same. */
struct network {
    unsigned char bytes[16];
    int len; /* 4 or 16. */
    int bits;
};

/* "127.0.0.1". */
static bool parse_v4(const char *text, size_t len, struct network *to)
{
    const char *end = text + len;
    to->len = 4;
    for (int i = 0; i < 4; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        size_t part = (size_t)((dot != NULL ? dot : end) - text);
        int value = parse_number(text, part, 255);
        if (value < 0 || (i < 3) != (dot != NULL)) {
            return false;
        }
        to->bytes[i] = (unsigned char)value;
        text += part + (i < 3);
    }
    return true;
}

/* Up to four hexadecimal digits, or three behind a sign, as Java's Integer.parseInt() takes them. */
static bool parse_group(const char *text, size_t len, unsigned char to[2])
{
    size_t at = len > 1 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
    uint32_t value = 0;
    if (len == 0 || len > 4) {
        return false;
    }
    for (size_t i = at; i < len; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit =
            strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] | 32 : text[i]);
        if (digit == NULL) {
            return false;
        }
        value = value * 16 + (uint32_t)(digit - digits);
    }
    value = text[0] == '-' ? 0 - value : value;
    to[0] = (unsigned char)(value >> 8);
    to[1] = (unsigned char)value;
    return true;
}

/* The groups between colons, of which there are at most `max`; returns how many, -1 for what is none. */
static int parse_groups(const char *text, size_t len, int max, unsigned char *to)
{
    const char *end = text + len;
    int n = 0;
    while (len > 0) {
        const char *colon = memchr(text, ':', (size_t)(end - text));
        size_t part = (size_t)((colon != NULL ? colon : end) - text);
        if (n == max || !parse_group(text, part, to + (ptrdiff_t)2 * n)) {
            return -1;
        }
        n++;
        if (colon == NULL) {
            break;
        }
        text = colon + 1;
    }
    return n;
}

/* "fe80::1": eight groups, or fewer around one "::". */
static bool parse_v6(const char *text, size_t len, struct network *to)
{
    enum { GROUPS = 8 };
    unsigned char behind[2 * GROUPS];
    size_t before = 0;
    to->len = 2 * GROUPS;
    while (before + 1 < len && (text[before] != ':' || text[before + 1] != ':')) {
        before++;
    }
    if (before + 1 >= len) {
        return parse_groups(text, len, GROUPS, to->bytes) == GROUPS;
    }
    int first = parse_groups(text, before, GROUPS - 1, to->bytes);
    int last = parse_groups(text + before + 2, len - before - 2, GROUPS - 1, behind);
    if (first < 0 || last < 0 || first + last >= GROUPS) {
        return false;
    }
    memset(to->bytes + (ptrdiff_t)2 * first, 0, (size_t)(2 * (GROUPS - first)));
    memcpy(to->bytes + (ptrdiff_t)2 * (GROUPS - last), behind, (size_t)(2 * last));
    return true;
}

/* "127.0.0.1", "127.0.0.0/8", "::1" or "fe80::/10". */
static bool parse_ip(const char *text, struct network *to)
{
    size_t len = strcspn(text, "/");
    bool six = memchr(text, ':', len) != NULL;
    if (!(six ? parse_v6(text, len, to) : parse_v4(text, len, to))) {
        return false;
    }
    to->bits = text[len] == '/' ? parse_number(text + len + 1, strlen(text + len + 1), 8 * to->len)
                                : 8 * to->len;
    return to->bits >= 0;
}

static bool ip_matches(const char *who, const char *meant)
{
    struct network a;
    struct network b;
    if (!parse_ip(meant, &b) || !parse_ip(who, &a) || strchr(who, '/') != NULL || a.len != b.len) {
        return false;
    }
    size_t whole = (size_t)b.bits / 8;
    int rest = b.bits % 8;
    return memcmp(a.bytes, b.bytes, whole) == 0 &&
           (rest == 0 || (a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest) == 0);
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
    struct network network;
    if (strcmp(id->scheme, "ip") == 0) {
        return parse_ip(id->id, &network);
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
    size_t text_len; /* With the zero bytes at their ends. */
    uint64_t hash;
};

enum {
    NUMBERS = 12,            /* Of an entry: its permissions, and how long its two texts are. */
    ENTRY_SIZE = NUMBERS - 2 /* Without the zero bytes of the two. */
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
    size_t head = sizeof(struct zks__acl) + w->n * sizeof(struct zks__ace);
    struct zks__acl *made = zks__mem_alloc(acls->lists.mem, head + w->text_len);
    if (made == NULL) {
        return false;
    }
    *w = (struct writer){.acl = made, .text = (char *)made + head};
    return true;
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

bool zks__acl_allows(const struct zks__acl *acl, int32_t perms, const struct zks__ids *ids)
{
    if (acl == NULL) {
        return true;
    }
    for (size_t i = 0; i < ids->n; i++) {
        if (strcmp(ids->id[i].scheme, "super") == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < acl->n; i++) {
        const struct zks__ace *ace = &acl->aces[i];
        if ((ace->perms & perms) == 0) {
            continue;
        }
        if (is_anyone(&ace->id)) {
            return true;
        }
        bool is_ip = strcmp(ace->id.scheme, "ip") == 0;
        for (size_t j = 0; j < ids->n; j++) {
            const struct zks__id *who = &ids->id[j];
            if (is_ip ? strcmp(who->scheme, "ip") == 0 && ip_matches(who->id, ace->id.id)
                      : same_id(who, &ace->id)) {
                return true;
            }
        }
    }
    return false;
}
