/* SPDX-License-Identifier: Apache-2.0 */
/* A lock shared with the Go package of the same name.  The other party is played by the ZooKeeper
 * client library alone, and by this file's own reading of the names. */
#include <regex.h>

#include "locks.h"

static const char write_prefix[] = "_c_0123456789abcdef0123456789abcdef-write-";
static const char read_prefix[] = "_c_fedcba9876543210fedcba9876543210-read-";

/* Queues as the Go package does; the result is the name, to be freed. */
static char *go_queue(const struct it *it, const char *prefix)
{
    char created[512];
    char *path = it_child(it, prefix);
    rawzk_create(it->raw, path, "", ZOO_EPHEMERAL | ZOO_SEQUENCE, created, sizeof created);
    free(path);
    char *name = strdup(strrchr(created, '/') + 1);
    assert_non_null(name);
    return name;
}

static void go_leave(const struct it *it, char *name)
{
    char *path = it_child(it, name);
    rawzk_delete(it->raw, path);
    free(path);
    free(name);
}

/* The number after the last "read-" or "write-", -1 for a name that does not count. */
static long go_number(const char *name, bool *writes)
{
    static const char *const marks[] = {"read-", "write-"};
    const char *number = NULL;
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = strstr(name, marks[i]); at != NULL; at = strstr(at + 1, marks[i])) {
            if (number == NULL || at + strlen(marks[i]) > number) {
                number = at + strlen(marks[i]);
                *writes = i == 1;
            }
        }
    }
    if (number == NULL) {
        return -1;
    }
    char *end = NULL;
    long value = strtol(number, &end, 10);
    return end > number && *end == '\0' ? value : -1;
}

/* Whether the contender with this name may take the lock, by the Go package's rules: a reader when
 * no writer is before it, a writer when nobody is. */
static bool go_may_take(const struct it *it, const char *name)
{
    struct rawzk_names names;
    bool writes = false;
    long mine = go_number(name, &writes);
    bool may = mine >= 0;
    rawzk_children(it->raw, it->path, &names);
    for (size_t i = 0; i < names.count; i++) {
        bool other_writes = false;
        long other = go_number(names.name[i], &other_writes);
        if (other >= 0 && other < mine && (writes || other_writes)) {
            may = false;
        }
    }
    rawzk_names_free(&names);
    return may;
}

static void expect_name(struct party *p, const char *pattern)
{
    regex_t regex;
    char *node = party_node(p);
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, strrchr(node, '/') + 1, 0, NULL, 0) != 0) {
        ens_fail("the znode's name is %s", node);
    }
    regfree(&regex);
    free(node);
}

static void names_are_as_in_go(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    for (unsigned i = 0; i < 3; i++) {
        party_write(&a);
        expect_name(&a, "^_c_[0-9a-f]{32}-write-[0-9]{10}$");
        party_unlock(&a);
        party_read(&a);
        expect_name(&a, "^_c_[0-9a-f]{32}-read-[0-9]{10}$");
        party_unlock(&a);
    }
    party_close(&a);
}

static void go_writer_blocks_ours(void **state)
{
    struct it *it = *state;
    struct party writer;
    struct party reader;
    rawzk_create_path(it->raw, it->path);
    char *theirs = go_queue(it, write_prefix);
    two_open(&writer, &reader, it);
    it_equal(zks_rwlock_wrlock(writer.lock, 0), ZKS_EBUSY);
    it_equal(zks_rwlock_rdlock(reader.lock, 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_queue(&reader, ZKS_RWLOCK_READ, it, it->path, 2);
    party_queue(&writer, ZKS_RWLOCK_WRITE, it, it->path, 3);
    assert_false(it_op_done(&reader.op));
    go_leave(it, theirs);
    party_granted(&reader, ZKS_RWLOCK_READ);
    assert_false(it_op_done(&writer.op));
    party_unlock(&reader);
    party_granted(&writer, ZKS_RWLOCK_WRITE);
    two_close(&writer, &reader);
}

static void go_reader_shares_and_blocks_our_writer(void **state)
{
    struct it *it = *state;
    struct party writer;
    struct party reader;
    rawzk_create_path(it->raw, it->path);
    char *theirs = go_queue(it, read_prefix);
    two_open(&writer, &reader, it);
    party_read(&reader);
    party_unlock(&reader);
    it_equal(zks_rwlock_wrlock(writer.lock, 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_queue(&writer, ZKS_RWLOCK_WRITE, it, it->path, 2);
    assert_false(it_op_done(&writer.op));
    go_leave(it, theirs);
    party_granted(&writer, ZKS_RWLOCK_WRITE);
    two_close(&writer, &reader);
}

static void our_writer_blocks_go(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    char *reader = go_queue(it, read_prefix);
    char *writer = go_queue(it, write_prefix);
    assert_false(go_may_take(it, reader));
    assert_false(go_may_take(it, writer));
    party_unlock(&a);
    assert_true(go_may_take(it, reader));
    assert_false(go_may_take(it, writer));
    go_leave(it, reader);
    assert_true(go_may_take(it, writer));
    go_leave(it, writer);
    party_close(&a);
}

static void our_reader_blocks_go_writers_only(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    for (unsigned downgraded = 0; downgraded < 2; downgraded++) {
        if (downgraded) {
            party_write(&a);
            it_ok(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS));
        } else {
            party_read(&a);
        }
        char *reader = go_queue(it, read_prefix);
        char *writer = go_queue(it, write_prefix);
        assert_true(go_may_take(it, reader));
        assert_false(go_may_take(it, writer));
        go_leave(it, reader);
        assert_false(go_may_take(it, writer));
        party_unlock(&a);
        assert_true(go_may_take(it, writer));
        go_leave(it, writer);
    }
    party_close(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(names_are_as_in_go),
        it_test(go_writer_blocks_ours),
        it_test(go_reader_shares_and_blocks_our_writer),
        it_test(our_writer_blocks_go),
        it_test(our_reader_blocks_go_writers_only),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("go_layout", tests, NULL, NULL);
}
