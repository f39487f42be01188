/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/acl.h"
#include "tree/code.h"
#include "tree_dump.h"

struct fixture {
    struct heap heap;
    struct zks__acls acls;
    size_t blocks; /* While there is no list. */
};

static void begin(struct fixture *f)
{
    heap_init(&f->heap);
    memset(&f->acls, 0, sizeof f->acls);
    assert_true(zks__acls_init(&f->acls, &f->heap.mem));
    f->blocks = f->heap.blocks;
}

static void end(struct fixture *f)
{
    assert_int_equal(f->acls.lists.n, 0);
    zks__acls_close(&f->acls);
    assert_int_equal(f->heap.blocks, 0);
}

static const struct zks__ids no_ids = {NULL, 0};

static struct zks__acl *make(struct fixture *f, const struct zks__ace *asked, size_t n,
                             const struct zks__ids *ids)
{
    struct zks__acl *acl = NULL;
    assert_int_equal(zks__acl_make(&f->acls, asked, n, ids, &acl), ZKS__Z_OK);
    assert_non_null(acl);
    return acl;
}

/* ---- Which entries there may be ---- */

static const struct {
    const char *scheme;
    const char *id;
    bool valid;
} entries[] = {
    {"world", "anyone", true},
    {"world", "", false},
    {"world", "anyone ", false},
    {"world", "Anyone", false},
    {"World", "anyone", false},
    /* Of these the server has no provider unless it is told to. */
    {"", "", false},
    {"super", "", false},
    {"super", "super:x", false},
    {"sasl", "user", false},
    {"x509", "CN=user", false},
    {"host", "localhost", false},
    {"Digest", "a:b", false},
    {"digests", "a:b", false},
    {"i", "1.2.3.4", false},
    {"ips", "1.2.3.4", false},
    /* Java's split() leaves out the empty parts at the end, and only those. */
    {"digest", "user:hash", true},
    {"digest", "a:b", true},
    {"digest", ":b", true},
    {"digest", "a:b:", true},
    {"digest", "a:b:::", true},
    {"digest", ":b:", true},
    {"digest", " : ", true},
    {"digest", "", false},
    {"digest", ":", false},
    {"digest", "::", false},
    {"digest", "a", false},
    {"digest", "a:", false},
    {"digest", "a::", false},
    {"digest", "a::b", false},
    {"digest", "::b", false},
    {"digest", "a:b:c", false},
    {"digest", "a:b::c", false},
    {"digest", "a:b:c:", false},
    /* Here it keeps them, and the rest is parseInt(). */
    {"ip", "1.2.3.4", true},
    {"ip", "0.0.0.0", true},
    {"ip", "255.255.255.255", true},
    {"ip", "1.2.3.256", false},
    {"ip", "256.2.3.4", false},
    {"ip", "1.2.3.999999999", false},
    {"ip", "1.2.3.-1", false},
    {"ip", "1.2.3.-0", true},
    {"ip", "-0.-0.-0.-00", true},
    {"ip", "+1.+2.+3.+4", true},
    {"ip", "1.2.3.+", false},
    {"ip", "1.2.3.-", false},
    {"ip", "1.2.3.+-4", false},
    {"ip", "1.2.3.++4", false},
    {"ip", "001.0000000002.3.4", true},
    {"ip", "1.2.3.00000000000000000000000000000000000004", true},
    {"ip", "1.2.3.4294967296", false},
    {"ip", "1.2.3.4294967300", false},
    {"ip", "1.2.3.2147483648", false},
    {"ip", "1.2.3.-2147483648", false},
    {"ip", "1.2.3.18446744073709551617", false},
    {"ip", "1.2.3.0x4", false},
    {"ip", "1.2.3.4a", false},
    {"ip", "1.2.3. 4", false},
    {"ip", " 1.2.3.4", false},
    {"ip", "1.2.3.4 ", false},
    {"ip", "", false},
    {"ip", "1", false},
    {"ip", "1.2.3", false},
    {"ip", "1.2.3.", false},
    {"ip", "1.2.3.4.", false},
    {"ip", ".1.2.3.4", false},
    {"ip", "1..3.4", false},
    {"ip", "...", false},
    {"ip", "1.2.3.4.5", false},
    {"ip", "localhost", false},
    {"ip", "::1", true},
    {"ip", "::", true},
    {"ip", "1::", true},
    {"ip", "0:0:0:0:0:0:0:1", true},
    {"ip", "1:2:3:4:5:6:7::", true},
    {"ip", "::2:3:4:5:6:7:8", true},
    {"ip", "FE80::aBcD", true},
    {"ip", "+1::", true},
    {"ip", "-1::", true},
    {"ip", "-001::+fff", true},
    {"ip", "1:2:3:4:5:6:7", false},
    {"ip", "1:2:3:4:5:6:7:8:9", false},
    {"ip", "1:2:3:4:5:6:7::8", false},
    {"ip", "1:2:3:4:5:6:7:8::", false},
    {"ip", "::1:2:3:4:5:6:7:8", false},
    {"ip", "1::2::3", false},
    {"ip", ":", false},
    {"ip", ":::", false},
    {"ip", ":1::", false},
    {"ip", "1:::2", false},
    {"ip", "1::2:", false},
    {"ip", "1:", false},
    {"ip", "12345::", false},
    {"ip", "::g", false},
    {"ip", "::G", false},
    {"ip", "::+", false},
    {"ip", "::-", false},
    {"ip", "::1-", false},
    {"ip", "::ffff:1.2.3.4", false},
    {"ip", "::1%lo", false},
    {"ip", "[::1]", false},
    {"ip", "::1/", false},
    {"ip", "::/0", true},
    {"ip", "::1/128", true},
    {"ip", "::1/129", false},
    {"ip", "::1/-0", true},
    {"ip", "::1/-1", false},
    {"ip", "::1/+64", true},
    {"ip", "::1/64/1", false},
    {"ip", "::1/x", false},
    {"ip", "1.2.3.4/0", true},
    {"ip", "1.2.3.4/8", true},
    {"ip", "1.2.3.4/32", true},
    {"ip", "1.2.3.4/33", false},
    {"ip", "1.2.3.4/-1", false},
    {"ip", "1.2.3.4/-0", true},
    {"ip", "1.2.3.4/+8", true},
    {"ip", "1.2.3.4/0032", true},
    {"ip", "1.2.3.4/4294967304", false},
    {"ip", "1.2.3.4/", false},
    {"ip", "1.2.3.4//", false},
    {"ip", "1.2.3.4/8/", false},
    {"ip", "1.2.3.4/8/8", false},
    {"ip", "1.2.3.4/ 8", false},
    {"ip", "1.2.3.4/8 ", false},
    {"ip", "1.2.3.4/255.0.0.0", false},
    {"ip", "/8", false},
    {"ip", "/", false},
    {"ip", "1.2.3/8", false},
};

static void test_entries(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT(entries); i++) {
        const struct zks__ace asked = {1, {entries[i].scheme, entries[i].id}};
        struct zks__acl *acl = NULL;
        print_message("# %s:%s\n", entries[i].scheme, entries[i].id);
        int rc = zks__acl_make(&f.acls, &asked, 1, &no_ids, &acl);
        assert_int_equal(rc, entries[i].valid ? ZKS__Z_OK : ZKS__Z_INVALIDACL);
        assert_int_equal(f.acls.lists.n, entries[i].valid);
        if (entries[i].valid) {
            assert_int_equal(acl->n, 1);
            assert_int_equal(acl->aces[0].perms, 1);
            assert_string_equal(acl->aces[0].id.scheme, entries[i].scheme);
            assert_string_equal(acl->aces[0].id.id, entries[i].id);
            zks__acl_drop(&f.acls, acl);
        }
        assert_int_equal(f.heap.blocks, f.blocks);
    }
    end(&f);
}

/* One bad entry spoils the list, wherever it is. */
static void test_one_bad_entry(void **state)
{
    (void)state;
    struct fixture f;
    struct zks__acl *acl = NULL;
    begin(&f);
    assert_int_equal(zks__acl_make(&f.acls, NULL, 0, &no_ids, &acl), ZKS__Z_INVALIDACL);
    for (size_t bad = 0; bad < 4; bad++) {
        struct zks__ace asked[] = {{1, {"world", "anyone"}},
                                   {2, {"digest", "a:b"}},
                                   {4, {"ip", "1.2.3.4"}},
                                   {8, {"digest", "c:d"}}};
        asked[bad].id.id = "";
        assert_int_equal(zks__acl_make(&f.acls, asked, COUNT(asked), &no_ids, &acl),
                         ZKS__Z_INVALIDACL);
        assert_int_equal(f.heap.blocks, f.blocks);
    }
    end(&f);
}

/* Nobody looks at the permissions: a list may deny all, and have bits that mean nothing. */
static void test_permissions_are_kept(void **state)
{
    (void)state;
    static const int32_t perms[] = {0, 31, 32, 0x4f, -1, INT32_MIN, INT32_MAX};
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT(perms); i++) {
        const struct zks__ace asked = {perms[i], {"world", "anyone"}};
        struct zks__acl *acl = make(&f, &asked, 1, &no_ids);
        assert_int_equal(acl->aces[0].perms, perms[i]);
        assert_int_equal(zks__acl_allows(acl, ZKS__PERM_READ, &no_ids), perms[i] & 1);
        zks__acl_drop(&f.acls, acl);
    }
    end(&f);
}

/* ---- "auth", duplicates ---- */

struct list_row {
    const char *what;
    struct zks__ace asked[4];
    struct zks__id ids[4];
    size_t n; /* 0: refused. */
    struct zks__ace list[4];
};

#define ME "digest", "me:1"
#define ME_TOO "digest", "me:2"
#define HERE "ip", "10.0.0.1"
#define ALL "world", "anyone"
#define AUTH "auth", ""

static const struct list_row list_rows[] = {
    {"the order is kept",
     {{1, {ME_TOO}}, {2, {ALL}}, {4, {HERE}}, {8, {ME}}},
     {{0}},
     4,
     {{1, {ME_TOO}}, {2, {ALL}}, {4, {HERE}}, {8, {ME}}}},
    {"duplicates go", {{1, {ME}}, {1, {ME}}}, {{0}}, 1, {{1, {ME}}}},
    {"the first one stays",
     {{1, {ME}}, {1, {ALL}}, {1, {ME}}, {1, {ALL}}},
     {{0}},
     2,
     {{1, {ME}}, {1, {ALL}}}},
    {"other permissions make it another entry",
     {{1, {ME}}, {3, {ME}}},
     {{0}},
     2,
     {{1, {ME}}, {3, {ME}}}},
    {"auth without an identity", {{1, {AUTH}}}, {{0}}, 0, {{0}}},
    {"an address is no identity that proves anything", {{1, {AUTH}}}, {{HERE}}, 0, {{0}}},
    {"nor is super by itself", {{1, {AUTH}}}, {{HERE}, {"super", ""}}, 0, {{0}}},
    {"auth", {{1, {AUTH}}}, {{HERE}, {ME}}, 1, {{1, {ME}}}},
    {"what it says does not matter", {{9, {"auth", "x y"}}}, {{ME}}, 1, {{9, {ME}}}},
    {"all identities", {{5, {AUTH}}}, {{ME_TOO}, {HERE}, {ME}}, 2, {{5, {ME_TOO}}, {5, {ME}}}},
    {"of super's only the digest", {{5, {AUTH}}}, {{"super", ""}, {ME}}, 1, {{5, {ME}}}},
    {"between others",
     {{1, {ALL}}, {2, {AUTH}}, {4, {HERE}}},
     {{ME}, {ME_TOO}},
     4,
     {{1, {ALL}}, {2, {ME}}, {2, {ME_TOO}}, {4, {HERE}}}},
    {"auth twice, as duplicates", {{1, {AUTH}}, {1, {AUTH}}}, {{ME}}, 1, {{1, {ME}}}},
    {"auth twice", {{1, {AUTH}}, {2, {AUTH}}}, {{ME}}, 2, {{1, {ME}}, {2, {ME}}}},
    /* Duplicates are looked for in what was asked, not in what comes out. */
    {"auth and the same by name", {{1, {ME}}, {1, {AUTH}}}, {{ME}}, 2, {{1, {ME}}, {1, {ME}}}},
    {"auth in two ways", {{1, {AUTH}}, {1, {"auth", "x"}}}, {{ME}}, 2, {{1, {ME}}, {1, {ME}}}},
    {"an identity twice", {{1, {AUTH}}}, {{ME}, {ME}}, 2, {{1, {ME}}, {1, {ME}}}},
    {"a good one does not save auth", {{1, {ALL}}, {1, {AUTH}}}, {{HERE}}, 0, {{0}}},
    {"Auth is none", {{1, {"Auth", ""}}}, {{ME}}, 0, {{0}}},
    /* An identity that was checked when it came is not checked again. */
    {"odd digests", {{1, {AUTH}}}, {{"digest", "a:b:c"}}, 1, {{1, {"digest", "a:b:c"}}}},
};

static void test_lists(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT(list_rows); i++) {
        const struct list_row *row = &list_rows[i];
        struct zks__ids ids = {row->ids, 0};
        struct zks__acl *acl = NULL;
        size_t n = 0;
        print_message("# %s\n", row->what);
        while (n < COUNT(row->asked) && row->asked[n].id.scheme != NULL) {
            n++;
        }
        while (ids.n < COUNT(row->ids) && row->ids[ids.n].scheme != NULL) {
            ids.n++;
        }
        int rc = zks__acl_make(&f.acls, row->asked, n, &ids, &acl);
        assert_int_equal(rc, row->n > 0 ? ZKS__Z_OK : ZKS__Z_INVALIDACL);
        if (row->n > 0) {
            assert_int_equal(acl->n, row->n);
            for (size_t k = 0; k < acl->n; k++) {
                assert_int_equal(acl->aces[k].perms, row->list[k].perms);
                assert_string_equal(acl->aces[k].id.scheme, row->list[k].id.scheme);
                assert_string_equal(acl->aces[k].id.id, row->list[k].id.id);
            }
            zks__acl_drop(&f.acls, acl);
        }
        assert_int_equal(f.heap.blocks, f.blocks);
    }
    end(&f);
}

/* ---- Who is allowed what ---- */

struct right_row {
    struct zks__ace entry;
    struct zks__id who;
    bool matches;
};

static const struct right_row right_rows[] = {
    {{1, {ME}}, {ME}, true},
    {{1, {ME}}, {ME_TOO}, false},
    {{1, {ME}}, {"digest", "{ME}:1"}, false},
    {{1, {ME}}, {"digest", "me:1:"}, false},
    {{1, {"digest", "me:1:"}}, {ME}, false},
    {{1, {ME}}, {"digest", ""}, false},
    {{1, {ME}}, {"ip", "me:1"}, false},
    {{1, {ME}}, {"world", "anyone"}, false},
    {{1, {ME}}, {"super", ""}, true},
    {{0, {ME}}, {"super", ""}, true},
    {{2, {ME}}, {"super", ""}, true},
    {{1, {"ip", "10.0.0.1"}}, {"super", ""}, true},
    {{1, {ALL}}, {HERE}, true},
    {{0, {ALL}}, {HERE}, false},
    {{2, {ALL}}, {HERE}, false},
    {{1, {HERE}}, {HERE}, true},
    {{1, {HERE}}, {"ip", "10.0.0.2"}, false},
    {{1, {HERE}}, {"ip", "11.0.0.1"}, false},
    {{1, {HERE}}, {"digest", "10.0.0.1"}, false},
    {{1, {HERE}}, {"ip", "010.0.0.1"}, true},
    {{1, {"ip", "+10.0.0.01"}}, {HERE}, true},
    {{1, {"ip", "10.0.0.1/32"}}, {HERE}, true},
    {{1, {"ip", "10.0.0.0/32"}}, {HERE}, false},
    {{1, {"ip", "10.0.0.0/31"}}, {HERE}, true},
    {{1, {"ip", "10.0.0.2/31"}}, {HERE}, false},
    {{1, {"ip", "10.0.0.0/8"}}, {"ip", "10.255.254.253"}, true},
    {{1, {"ip", "10.9.8.7/8"}}, {"ip", "10.255.254.253"}, true},
    {{1, {"ip", "10.0.0.0/8"}}, {"ip", "11.0.0.0"}, false},
    {{1, {"ip", "10.128.0.0/9"}}, {"ip", "10.255.0.1"}, true},
    {{1, {"ip", "10.128.0.0/9"}}, {"ip", "10.127.255.255"}, false},
    {{1, {"ip", "10.16.0.0/12"}}, {"ip", "10.31.255.255"}, true},
    {{1, {"ip", "10.16.0.0/12"}}, {"ip", "10.32.0.0"}, false},
    {{1, {"ip", "192.168.7.0/24"}}, {"ip", "192.168.7.255"}, true},
    {{1, {"ip", "192.168.7.0/24"}}, {"ip", "192.168.6.255"}, false},
    {{1, {"ip", "192.168.6.0/23"}}, {"ip", "192.168.7.255"}, true},
    {{1, {"ip", "128.0.0.0/1"}}, {"ip", "255.255.255.255"}, true},
    {{1, {"ip", "128.0.0.0/1"}}, {"ip", "127.255.255.255"}, false},
    {{1, {"ip", "1.2.3.4/0"}}, {"ip", "255.255.255.255"}, true},
    {{1, {"ip", "1.2.3.4/-0"}}, {"ip", "8.8.8.8"}, true},
    /* An address of the other kind is in no network, not even in that of all. */
    {{1, {"ip", "0.0.0.0/0"}}, {"ip", "0:0:0:0:0:0:0:1"}, false},
    {{1, {"ip", "::/0"}}, {"ip", "1.2.3.4"}, false},
    {{1, {"ip", "::/0"}}, {"ip", "0:0:0:0:0:0:0:1"}, true},
    {{1, {"ip", "::ffff:102:304"}}, {"ip", "1.2.3.4"}, false},
    {{1, {"ip", "::1"}}, {"ip", "0:0:0:0:0:0:0:1"}, true},
    {{1, {"ip", "0::00:0001"}}, {"ip", "0:0:0:0:0:0:0:1"}, true},
    {{1, {"ip", "1::"}}, {"ip", "0:0:0:0:0:0:0:1"}, false},
    {{1, {"ip", "1:2::7:8"}}, {"ip", "1:2:0:0:0:0:7:8"}, true},
    {{1, {"ip", "FE80::Ab"}}, {"ip", "fe80:0:0:0:0:0:0:ab"}, true},
    {{1, {"ip", "-1::"}}, {"ip", "ffff:0:0:0:0:0:0:0"}, true},
    {{1, {"ip", "-80::"}}, {"ip", "ff80:0:0:0:0:0:0:0"}, true},
    {{1, {"ip", "fe80::1/10"}}, {"ip", "febf:0:0:0:0:0:0:2"}, true},
    {{1, {"ip", "fe80::1/10"}}, {"ip", "fec0:0:0:0:0:0:0:1"}, false},
    {{1, {"ip", "2001:db8::/32"}}, {"ip", "2001:db8:ffff:0:0:0:0:1"}, true},
    {{1, {"ip", "2001:db8::/32"}}, {"ip", "2001:db9:0:0:0:0:0:0"}, false},
    {{1, {"ip", "::8/127"}}, {"ip", "0:0:0:0:0:0:0:9"}, true},
    {{1, {"ip", "::8/127"}}, {"ip", "0:0:0:0:0:0:0:a"}, false},
    {{1, {"ip", "::8/128"}}, {"ip", "0:0:0:0:0:0:0:9"}, false},
    {{1, {"ip", "::1"}}, {"ip", "0:0:0:0:0:0:0:1/8"}, false},
    {{1, {"ip", "0.0.0.0/0"}}, {"ip", ""}, false},
    {{1, {"ip", "0.0.0.0/0"}}, {"ip", "1.2.3"}, false},
    {{1, {"ip", "10.0.0.0/8"}}, {"ip", "10.0.0.1/8"}, false},
};

static void test_rights(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT(right_rows); i++) {
        const struct right_row *row = &right_rows[i];
        const struct zks__ids ids = {&row->who, 1};
        print_message("# %d %s:%s for %s:%s\n", (int)row->entry.perms, row->entry.id.scheme,
                      row->entry.id.id, row->who.scheme, row->who.id);
        struct zks__acl *acl = make(&f, &row->entry, 1, &no_ids);
        assert_int_equal(zks__acl_allows(acl, ZKS__PERM_READ, &ids), row->matches);
        assert_false(zks__acl_allows(acl, ZKS__PERM_READ, &no_ids) &&
                     strcmp(row->entry.id.scheme, "world") != 0);
        zks__acl_drop(&f.acls, acl);
    }
    end(&f);
}

/* Any of the permissions, of any of the entries, for any of the identities. */
static void test_any_of_several(void **state)
{
    (void)state;
    static const struct zks__ace asked[] = {{2, {ME}}, {1, {ME_TOO}}, {16, {HERE}}, {4, {ME}}};
    static const struct zks__id all[] = {{HERE}, {ME}, {ME_TOO}};
    struct fixture f;
    begin(&f);
    struct zks__acl *acl = make(&f, asked, COUNT(asked), &no_ids);
    for (int32_t perms = 0; perms < 64; perms++) {
        for (unsigned who = 0; who < 8; who++) {
            struct zks__id mine[3];
            struct zks__ids ids = {mine, 0};
            int32_t given = 0;
            given |= who & 1 ? 16 : 0;
            given |= who & 2 ? 2 | 4 : 0;
            given |= who & 4 ? 1 : 0;
            for (size_t k = 0; k < 3; k++) {
                if (who >> k & 1) {
                    mine[ids.n++] = all[k];
                }
            }
            assert_int_equal(zks__acl_allows(acl, perms, &ids), (perms & given) != 0);
        }
    }
    zks__acl_drop(&f.acls, acl);
    end(&f);
}

/* Few names and permissions, so that one is meant several times, and others are near it. */
static struct zks__ace random_entry(unsigned *seed, char id[16])
{
    static const char *const networks[] = {"10.0.0.%u", "10.0.%u.0/24", "::%u", "10.0.0.0/%u"};
    unsigned kind = (unsigned)rand_r(seed) % 8;
    int32_t perms = 1 << rand_r(seed) % 5;
    unsigned number = (unsigned)rand_r(seed) % 20;
    if (kind == 0 && number == 0) {
        return (struct zks__ace){perms, {ALL}};
    }
    const char *format = kind < COUNT(networks) ? networks[kind] : "user%u:x";
    (void)snprintf(id, 16, format, number);
    return (struct zks__ace){perms, {kind < COUNT(networks) ? "ip" : "digest", id}};
}

/* What a list of one entry says of each identity, many entries and identities say together. */
static void test_long_lists(void **state)
{
    enum { ENTRIES = 60, ROUNDS = 300 };
    unsigned seed = 1;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char texts[ENTRIES + 3][16];
        struct zks__ace asked[ENTRIES];
        struct zks__acl *one[ENTRIES];
        struct zks__id who[3];
        struct fixture f;
        size_t n = 1 + (size_t)rand_r(&seed) % ENTRIES;
        begin(&f);
        for (size_t i = 0; i < n; i++) {
            asked[i] = random_entry(&seed, texts[i]);
            one[i] = make(&f, &asked[i], 1, &no_ids);
        }
        for (size_t i = 0; i < COUNT(who); i++) {
            who[i] = random_entry(&seed, texts[ENTRIES + i]).id;
        }
        struct zks__acl *acl = make(&f, asked, n, &no_ids);
        const struct zks__ids ids = {who, COUNT(who)};
        for (int32_t perms = 0; perms < 32; perms++) {
            bool any = false;
            for (size_t i = 0; i < n; i++) {
                any |= zks__acl_allows(one[i], perms, &ids);
            }
            assert_int_equal(zks__acl_allows(acl, perms, &ids), any);
        }
        for (size_t i = 0; i < n; i++) {
            zks__acl_drop(&f.acls, one[i]);
        }
        zks__acl_drop(&f.acls, acl);
        end(&f);
    }
}

static void test_no_list(void **state)
{
    (void)state;
    assert_true(zks__acl_allows(NULL, ZKS__PERM_ADMIN, &no_ids));
    assert_true(zks__acl_allows(NULL, 31, &no_ids));
}

/* ---- Sharing ---- */

static void test_equal_lists_are_kept_once(void **state)
{
    (void)state;
    static const struct zks__ace asked[] = {{1, {ME}}, {2, {ALL}}};
    static const struct zks__ace auth[] = {{1, {AUTH}}, {2, {ALL}}};
    static const struct zks__id me[] = {{ME}};
    const struct zks__ids ids = {me, 1};
    struct fixture f;
    begin(&f);
    struct zks__acl *acl = make(&f, asked, 2, &no_ids);
    size_t blocks = f.heap.blocks;
    assert_int_equal(acl->uses, 1);
    assert_ptr_equal(make(&f, asked, 2, &no_ids), acl);
    assert_ptr_equal(make(&f, auth, 2, &ids), acl);
    assert_int_equal(acl->uses, 3);
    assert_int_equal(f.acls.lists.n, 1);
    assert_int_equal(f.heap.blocks, blocks);
    zks__acl_drop(&f.acls, acl);
    zks__acl_drop(&f.acls, acl);
    assert_int_equal(acl->uses, 1);
    assert_string_equal(acl->aces[0].id.id, "me:1");
    zks__acl_drop(&f.acls, acl);
    assert_int_equal(f.heap.blocks, f.blocks);
    end(&f);
}

/* The order, the permissions and every byte count. */
static void test_other_lists(void **state)
{
    (void)state;
    static const struct zks__ace lists[][2] = {
        {{1, {ME}}, {2, {ALL}}},
        {{2, {ALL}}, {1, {ME}}},
        {{2, {ME}}, {1, {ALL}}},
        {{1, {ME}}, {3, {ALL}}},
        {{1, {ME_TOO}}, {2, {ALL}}},
        {{1, {"digest", "me:1:"}}, {2, {ALL}}},
        {{1, {"digest", "m:e1"}}, {2, {ALL}}},
        {{1, {"digest", "a:b"}}, {1, {"digest", "c:d"}}},
        {{1, {"digest", "a:bc"}}, {1, {"digest", ":d"}}},
        {{1, {"ip", "1.2.3.4"}}, {1, {"ip", "1.2.3.5"}}},
        {{1, {"ip", "1.2.3.4"}}, {1, {"ip", "1.2.3.05"}}},
    };
    struct zks__acl *acl[COUNT(lists)];
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT(lists); i++) {
        acl[i] = make(&f, lists[i], 2, &no_ids);
        assert_int_equal(acl[i]->uses, 1);
        assert_int_equal(f.acls.lists.n, i + 1);
    }
    struct zks__acl *shorter = make(&f, lists[0], 1, &no_ids);
    assert_int_equal(shorter->uses, 1);
    zks__acl_drop(&f.acls, shorter);
    for (size_t i = 0; i < COUNT(lists); i++) {
        zks__acl_drop(&f.acls, acl[i]);
    }
    end(&f);
}

/* What was asked may go. */
static void test_lists_are_copies(void **state)
{
    (void)state;
    char scheme[] = "digest";
    char id[] = "user:hash";
    const struct zks__ace asked = {1, {scheme, id}};
    const struct zks__id who = {"digest", "user:hash"};
    const struct zks__ids ids = {&who, 1};
    struct fixture f;
    begin(&f);
    struct zks__acl *acl = make(&f, &asked, 1, &no_ids);
    memset(scheme, 'x', sizeof scheme - 1);
    memset(id, 'x', sizeof id - 1);
    assert_true(zks__acl_allows(acl, ZKS__PERM_READ, &ids));
    const struct zks__ace again = {1, {"digest", "user:hash"}};
    assert_ptr_equal(make(&f, &again, 1, &no_ids), acl);
    zks__acl_drop(&f.acls, acl);
    zks__acl_drop(&f.acls, acl);
    end(&f);
}

/* Many lists, of which the table has to grow. */
static void test_many_lists(void **state)
{
    (void)state;
    enum { LISTS = 500 };
    struct zks__acl *acl[LISTS];
    struct fixture f;
    begin(&f);
    for (int32_t round = 0; round < 2; round++) {
        for (int32_t i = 0; i < LISTS; i++) {
            const struct zks__ace asked[] = {{i, {ME}}, {i / 7, {HERE}}};
            struct zks__acl *a = make(&f, asked, 2, &no_ids);
            assert_true(round == 0 || a == acl[i]);
            acl[i] = a;
        }
    }
    assert_int_equal(f.acls.lists.n, LISTS);
    for (int32_t round = 0; round < 2; round++) {
        for (int32_t i = 0; i < LISTS; i++) {
            assert_int_equal(acl[i]->uses, 2 - round);
            zks__acl_drop(&f.acls, acl[i]);
        }
    }
    end(&f);
}

static void test_without_memory(void **state)
{
    (void)state;
    static const struct zks__ace asked[] = {{1, {ME}}, {2, {AUTH}}, {4, {HERE}}};
    static const struct zks__id me[] = {{ME}, {ME_TOO}};
    const struct zks__ids ids = {me, 2};
    struct fixture f;
    struct zks__acl *acl = NULL;
    begin(&f);
    for (size_t k = 1; acl == NULL; k++) {
        f.heap.asked = f.heap.refused = 0;
        f.heap.fail_at = k;
        int rc = zks__acl_make(&f.acls, asked, COUNT(asked), &ids, &acl);
        if (f.heap.refused > 0) {
            assert_int_equal(rc, ZKS__Z_SYSTEMERROR);
            assert_int_equal(f.heap.blocks, f.blocks);
            acl = NULL;
        } else {
            assert_int_equal(rc, ZKS__Z_OK);
            assert_true(k > 1);
        }
    }
    assert_int_equal(acl->n, 4);
    zks__acl_drop(&f.acls, acl);
    end(&f);
}

/* Closing forgets what is still in use. */
static void test_close(void **state)
{
    (void)state;
    static const struct zks__ace asked[] = {{1, {ME}}, {2, {HERE}}};
    struct fixture f;
    begin(&f);
    (void)make(&f, asked, 1, &no_ids);
    (void)make(&f, asked, 2, &no_ids);
    (void)make(&f, asked, 2, &no_ids);
    zks__acls_close(&f.acls);
    assert_int_equal(f.heap.blocks, 0);
    f.heap.dry = true;
    assert_false(zks__acls_init(&f.acls, &f.heap.mem));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_one_bad_entry),
        cmocka_unit_test(test_permissions_are_kept),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_any_of_several),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_no_list),
        cmocka_unit_test(test_equal_lists_are_kept_once),
        cmocka_unit_test(test_other_lists),
        cmocka_unit_test(test_lists_are_copies),
        cmocka_unit_test(test_many_lists),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
