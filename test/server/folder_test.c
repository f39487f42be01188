/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a server: which one it is, whether it is still there, and the leases that outlive it. */
#include <limits.h>
#include <unistd.h>

#include "serving.h"

static const char path[] = "/jobs/nightly";

struct told {
    char id[48];
    bool is_empty;
    int answer;
    unsigned times;
};

static int note_opened(const char *id, bool is_empty, void *arg)
{
    struct told *told = arg;
    (void)snprintf(told->id, sizeof told->id, "%s", id);
    told->is_empty = is_empty;
    told->times++;
    return told->answer;
}

static void open_and_close(const char *folder, struct told *told, int result)
{
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    zks_server *server = NULL;
    options.folder = folder;
    options.opened = note_opened;
    options.lease_arg = told;
    it_equal(zks_server_open(&options, &server), result);
    if (result == 0) {
        it_ok(zks_client_close(it_open(zks_server_address(server), 0)));
    }
    zks_server_close(server);
}

static void a_folder_is_told_from_others(void **state)
{
    char home[] = "/tmp/zksync-test-XXXXXX";
    char folder[sizeof home + 8];
    char command[96];
    struct told first = {.answer = ZKS_ECANCELED};
    struct told again = {.answer = 0};
    struct told copy = {.answer = 0};
    (void)state;
    assert_non_null(mkdtemp(home));
    (void)snprintf(folder, sizeof folder, "%s/data", home);
    open_and_close(folder, &first, ZKS_ECANCELED);
    assert_true(first.is_empty);
    first.answer = 0;
    open_and_close(folder, &first, 0);
    assert_true(first.is_empty); /* Nobody was served. */
    open_and_close(folder, &again, 0);
    assert_false(again.is_empty);
    assert_string_equal(again.id, first.id);
    (void)snprintf(command, sizeof command,
                   "cd %s && cp -a data copy && rm -r data && mv copy data", home);
    assert_int_equal(system(command), 0);
    open_and_close(folder, &copy, 0);
    assert_false(copy.is_empty);
    assert_string_not_equal(copy.id, first.id);
    struct told none = {.answer = ZKS_ECANCELED};
    open_and_close(NULL, &none, 0); /* Nothing is kept. */
    assert_int_equal(none.times, 0);
    (void)snprintf(command, sizeof command, "rm -r %s", home);
    assert_int_equal(system(command), 0);
}

static void keep_longest(int64_t longest_ms, void *arg)
{
    *(int64_t *)arg = longest_ms;
}

/* The server ends, and reports how long its clients may hold what the next server does not know. */
static void a_folder_that_is_taken_away(void **state)
{
    static const int timeout_ms = 30000;
    char home[] = "/tmp/zksync-test-XXXXXX";
    char away[sizeof home + 8];
    char command[64];
    char here[PATH_MAX];
    struct party holder;
    bool lost = true;
    int64_t longest = 0;
    zks_server *server = NULL;
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    (void)state;
    assert_non_null(mkdtemp(home));
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(home), 0);
    options.lease = keep_longest;
    options.lease_arg = &longest;
    options.folder =
        "data"; /* The path stays valid when the program changes its working directory. */
    it_ok(zks_server_open(&options, &server));
    assert_int_equal(chdir(here), 0);
    party_open(&holder, zks_server_address(server), (uint32_t)timeout_ms, path);
    party_write(&holder);
    it_equal((int)zks_server_lease_ms(server, &lost), ZKS_EBUSY);
    it_equal((int)zks_server_lease_ms(server, NULL), ZKS_EINVAL);
    zks_server_stop(server);
    it_equal((int)longest, timeout_ms);
    it_equal((int)zks_server_lease_ms(server, &lost), timeout_ms);
    assert_false(lost);
    longest = 0;
    it_ok(zks_server_start(server));
    it_equal((int)longest, timeout_ms); /* The session is there again. */
    it_equal(zks_server_wait(server, 1200), ZKS_ETIMEDOUT);
    (void)snprintf(away, sizeof away, "%s.away", home);
    assert_int_equal(rename(home, away), 0);
    it_equal(zks_server_wait(server, IT_LIMIT_MS), ZKS_ESYSTEM);
    it_equal((int)zks_server_lease_ms(server, &lost), timeout_ms);
    assert_true(lost);
    party_close(&holder);
    zks_server_close(server);
    (void)snprintf(command, sizeof command, "rm -r %s", away);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(a_folder_is_told_from_others),
        serving_test(a_folder_that_is_taken_away),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
