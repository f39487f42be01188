/* SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

#include <string.h>

static const char roster_magic[] = "zksync-round 1\n";

enum { SEQ_LEN = 10 };

bool zks__member_parse(const char *name, struct zks__member *out)
{
    size_t len = strlen(name);
    uint64_t n = 0;
    uint64_t scale = 1;
    if (len < SEQ_LEN + 2 || len > ZKS__NAME_MAX) {
        return false;
    }
    /* "%010d" takes a byte more for the largest negative numbers. */
    size_t at = len - SEQ_LEN;
    at -= name[at - 1] == '-' && name[at - 2] == '-';
    if (name[at - 1] != '-' || !zks__sequence(name + at, &out->seq)) {
        return false;
    }
    for (at--; at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9' && scale < 1000000000; at--) {
        n += (uint64_t)(name[at - 1] - '0') * scale;
        scale *= 10;
    }
    if (scale == 1 || at < ZKS__UUID_LEN + 3 || name[at - 1] != '-') {
        return false;
    }
    size_t id_len = at - 1 - ZKS__UUID_LEN - 1;
    if (name[id_len] != '-' ||
        strspn(name + id_len + 1, "0123456789abcdef") != (size_t)ZKS__UUID_LEN) {
        return false;
    }
    out->id = name;
    out->id_len = id_len;
    out->n = (uint32_t)n;
    return true;
}

void zks__member_prefix(char out[ZKS__NAME_MAX + 1], const char *id, const struct zks__stem *stem,
                        uint32_t attempt, uint32_t n)
{
    char uuid[ZKS__UUID_LEN + 1];
    zks__uuid(uuid, stem, attempt);
    out[0] = '\0';
    zks__append(out, id);
    zks__append(out, "-");
    zks__append(out, uuid);
    zks__append(out, "-");
    zks__append_uint(out, n, 10, 1);
    zks__append(out, "-");
}

bool zks__roster_parse(const void *data, size_t len, struct zks__roster *out)
{
    const size_t magic = sizeof roster_magic - 1;
    const char *text = data;
    if (text == NULL || len < magic + ZKS__UUID_LEN + 1 || memcmp(text, roster_magic, magic) != 0 ||
        text[magic + ZKS__UUID_LEN] != '\n' || text[len - 1] != '\n') {
        return false;
    }
    memcpy(out->round, text + magic, ZKS__UUID_LEN);
    out->round[ZKS__UUID_LEN] = '\0';
    out->names = text + magic + ZKS__UUID_LEN + 1;
    out->len = len - magic - ZKS__UUID_LEN - 1;
    return memchr(text, '\0', len) == NULL && zks__uuid_valid(out->round);
}

static size_t put(char *buf, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (buf != NULL) {
        memcpy(buf + at, text, len);
    }
    return at + len;
}

size_t zks__roster_write(char *buf, const char *round, const char *const *names, size_t n)
{
    size_t at = put(buf, 0, roster_magic);
    at = put(buf, at, round);
    at = put(buf, at, "\n");
    for (size_t i = 0; i < n; i++) {
        at = put(buf, at, names[i]);
        at = put(buf, at, "\n");
    }
    return at;
}

const char *zks__roster_next(const struct zks__roster *r, size_t *at, size_t *len)
{
    if (*at >= r->len) {
        return NULL;
    }
    const char *name = r->names + *at;
    const char *end = memchr(name, '\n', r->len - *at);
    if (end == NULL) {
        return NULL;
    }
    *len = (size_t)(end - name);
    *at += *len + 1;
    return name;
}

/* The hex digits of an attempt have no end mark.  They sort as the attempts do. */
enum zks__part zks__roster_part(const struct zks__roster *r, const struct zks__stem *stem,
                                uint32_t first, uint32_t attempt)
{
    char from[ZKS__UUID_LEN + 1];
    char ours[ZKS__UUID_LEN + 1];
    enum zks__part part = ZKS__PART_NONE;
    zks__uuid(from, stem, first);
    zks__uuid(ours, stem, attempt);
    for (size_t i = 0; i + ZKS__UUID_LEN <= r->len; i++) {
        const char *uuid = r->names + i;
        int order = memcmp(uuid, ours, ZKS__UUID_LEN);
        if (order == 0) {
            return ZKS__PART_OURS;
        }
        if (order < 0 && memcmp(uuid, from, ZKS__UUID_LEN) >= 0 && zks__uuid_valid(uuid)) {
            part = ZKS__PART_EARLIER;
        }
    }
    return part;
}

typedef int (*compare_fn)(const char *, const char *);

static void sift(const char **a, size_t at, size_t n, compare_fn compare)
{
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && compare(a[child], a[child + 1]) < 0) {
            child++;
        }
        if (compare(a[at], a[child]) >= 0) {
            return;
        }
        const char *t = a[at];
        a[at] = a[child];
        a[child] = t;
        at = child;
    }
}

/* Heapsort: the core has no qsort(), which may allocate. */
static void sort(const char **a, size_t n, compare_fn compare)
{
    for (size_t i = n / 2; i-- > 0;) {
        sift(a, i, n, compare);
    }
    for (size_t end = n; end > 1; end--) {
        const char *t = a[0];
        a[0] = a[end - 1];
        a[end - 1] = t;
        sift(a, 0, end - 1, compare);
    }
}

static const char *find(const char *const *sorted, size_t n, const char *name, size_t len)
{
    size_t low = 0;
    for (size_t high = n; low < high;) {
        size_t mid = low + (high - low) / 2;
        int order = strncmp(sorted[mid], name, len);
        if (order == 0 && sorted[mid][len] == '\0') {
            return sorted[mid];
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static int by_name(const char *a, const char *b)
{
    return strcmp(a, b);
}

struct zks__presence zks__roster_presence(const struct zks__roster *r, const char **children,
                                          size_t n_children)
{
    struct zks__presence p = {0};
    size_t at = 0;
    size_t len;
    sort(children, n_children, by_name);
    for (const char *name = zks__roster_next(r, &at, &len); name != NULL;
         name = zks__roster_next(r, &at, &len)) {
        p.total++;
        p.live += find(children, n_children, name, len) != NULL;
    }
    return p;
}

static int by_arrival(const char *a, const char *b)
{
    struct zks__member x;
    struct zks__member y;
    (void)zks__member_parse(a, &x);
    (void)zks__member_parse(b, &y);
    if (x.seq == y.seq) {
        return strcmp(a, b);
    }
    return zks__seq_before(x.seq, y.seq) ? -1 : 1;
}

static int by_id(const char *a, const char *b)
{
    struct zks__member x;
    struct zks__member y;
    (void)zks__member_parse(a, &x);
    (void)zks__member_parse(b, &y);
    int order = memcmp(x.id, y.id, x.id_len < y.id_len ? x.id_len : y.id_len);
    if (order == 0 && x.id_len != y.id_len) {
        order = x.id_len < y.id_len ? -1 : 1;
    }
    return order != 0 ? order : by_arrival(a, b);
}

static bool same_id(const char *a, const char *b)
{
    struct zks__member x;
    struct zks__member y;
    (void)zks__member_parse(a, &x);
    (void)zks__member_parse(b, &y);
    return x.id_len == y.id_len && memcmp(x.id, y.id, x.id_len) == 0;
}

const char *zks__namesake(const char *const *children, size_t n_children, const char *own,
                          const struct zks__stem *stem)
{
    struct zks__member m;
    const char *first = own;
    bool present = false;
    for (size_t i = 0; i < n_children; i++) {
        present |= strcmp(children[i], own) == 0;
        if (zks__member_parse(children[i], &m) && same_id(children[i], own) &&
            !zks__stem_owns(stem, children[i]) && by_arrival(children[i], first) < 0) {
            first = children[i];
        }
    }
    return present && first != own ? first : NULL;
}

static void move_to(const char **a, size_t to, size_t from)
{
    const char *t = a[to];
    a[to] = a[from];
    a[from] = t;
}

/* Keeps the first of each id in front; returns how many.  What is ours of an earlier attempt gives
 * way to whatever else has the id: it is litter. */
static size_t keep_first_of_id(const char **a, size_t n, const char *own,
                               const struct zks__stem *stem)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool stray = strcmp(a[i], own) != 0 && zks__stem_owns(stem, a[i]);
        if (!stray && (kept == 0 || !same_id(a[kept - 1], a[i]))) {
            move_to(a, kept++, i);
        }
    }
    return kept;
}

struct zks__standing zks__round_standing(const char **children, size_t n_children, const char *own,
                                         const struct zks__stem *stem)
{
    struct zks__standing s = {0};
    struct zks__member m;
    struct zks__member first;
    size_t n = 0;
    for (size_t i = 0; i < n_children; i++) {
        if (zks__member_parse(children[i], &m)) {
            s.present |= strcmp(children[i], own) == 0;
            move_to(children, n++, i);
        }
    }
    if (!s.present) {
        return s;
    }
    sort(children, n, by_id);
    n = keep_first_of_id(children, n, own, stem);
    sort(children, n, by_arrival);
    (void)zks__member_parse(children[0], &first);
    for (size_t i = 0; i < n; i++) {
        (void)zks__member_parse(children[i], &m);
        bool ours = strcmp(children[i], own) == 0;
        if (m.n != first.n) {
            s.mismatch |= ours;
            continue;
        }
        if (ours) {
            s.rank = s.count;
        }
        move_to(children, s.count++, i);
    }
    return s;
}
