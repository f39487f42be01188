/* SPDX-License-Identifier: Apache-2.0 */
/* The examples do what their comments say: each is run as a newcomer would run it. */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

IT_TAKES_LONG

enum { PROGRAMS_MAX = 8, ARGUMENTS_MAX = 6, OUTPUT_MAX = 8192 };

/* A program that runs or has run.  What it writes goes to files without a name, so that it can be
 * looked at again and again, and nothing of it is left. */
struct program {
    const char *name;
    pid_t pid; /* 0 once it has ended. */
    int status;
    int out;
    int err;
    char text[OUTPUT_MAX];
};

static struct program programs[PROGRAMS_MAX];
static size_t n_programs;

/* A failed test leaves through here as well: no program outlives it. */
static int teardown(void **state)
{
    for (size_t i = 0; i < n_programs; i++) {
        struct program *p = &programs[i];
        if (p->pid > 0) {
            (void)kill(p->pid, SIGKILL);
            (void)waitpid(p->pid, NULL, 0);
        }
        (void)close(p->out);
        (void)close(p->err);
    }
    n_programs = 0;
    return it_teardown(state);
}

/* In the child.  The kernel ends it when the test dies, however it dies; and it does not inherit
 * the sockets of the test's own sessions, which libzookeeper does not mark close-on-exec. */
static _Noreturn void become(const struct program *p, char *const *argv, pid_t parent)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", EXAMPLES_DIR, p->name);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(p->out, STDOUT_FILENO) >= 0 &&
        dup2(p->err, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0) {
        (void)execv(path, argv);
    }
    _exit(127);
}

/* The arguments end with NULL. */
static struct program *start(const char *name, ...)
{
    assert_true(n_programs < PROGRAMS_MAX);
    struct program *p = &programs[n_programs++];
    *p = (struct program){.name = name, .out = memfd_create("out", MFD_CLOEXEC)};
    p->err = memfd_create("err", MFD_CLOEXEC);
    assert_true(p->out >= 0 && p->err >= 0);
    char *argv[ARGUMENTS_MAX] = {NULL};
    size_t n = 0;
    va_list arguments;
    va_start(arguments, name);
    for (const char *next = name; next && n < ARGUMENTS_MAX - 1; next = va_arg(arguments, char *)) {
        argv[n++] = (char *)(uintptr_t)next;
    }
    va_end(arguments);
    pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0) {
        become(p, argv, parent);
    }
    assert_true(p->pid > 0);
    return p;
}

static const char *text(struct program *p, int fd)
{
    ssize_t length = pread(fd, p->text, sizeof p->text - 1, 0);
    assert_true(length >= 0);
    p->text[length] = '\0';
    return p->text;
}

static bool has_said(struct program *p, const char *line)
{
    return strstr(text(p, p->out), line) != NULL;
}

static bool has_ended(struct program *p)
{
    pid_t ended = p->pid > 0 ? waitpid(p->pid, &p->status, WNOHANG) : 0;
    assert_true(ended >= 0 || errno == EINTR);
    if (ended > 0) {
        p->pid = 0;
    }
    return p->pid == 0;
}

/* Waits until it has said that; fails at once where it ends without. */
static void await_said(struct program *p, const char *line)
{
    it_await(has_said(p, line) || has_ended(p));
    if (!has_said(p, line)) {
        ens_fail("%s ended without saying \"%s\", but: %s", p->name, line, text(p, p->err));
    }
}

/* Waits for the end, and looks at the exit code and at all of standard error. */
static void ends(struct program *p, int code, const char *error)
{
    it_await(has_ended(p));
    if (!WIFEXITED(p->status) || WEXITSTATUS(p->status) != code) {
        ens_fail("%s: wait status 0x%x where the exit code should be %d; it said: %s", p->name,
                 (unsigned)p->status, code, text(p, p->err));
    }
    assert_string_equal(text(p, p->err), error);
}

static void ends_saying(struct program *p, const char *about, const char *what)
{
    char line[512];
    (void)snprintf(line, sizeof line, "%s: %s: %s\n", p->name, about, what);
    ends(p, 1, line);
}

static void ends_with(struct program *p, int error)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s: %s\n", p->name, zks_strerror(error));
    ends(p, 1, line);
}

/* Takes a "...token N\n" apart; the rest of the output must be what is given. */
static uint64_t token_said(struct program *p, const char *before, const char *after)
{
    const char *said = text(p, p->out);
    size_t length = strlen(before);
    assert_int_equal(strncmp(said, before, length), 0);
    char *end = NULL;
    uint64_t token = strtoull(said + length, &end, 10);
    assert_true(token > 0);
    assert_string_equal(end, after);
    return token;
}

static void test_usage(void **state)
{
    (void)state;
    static const char *const names[] = {"rwlock", "barrier", "double_barrier",
                                        "epoll",  "list",    "demo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct program *p = start(names[i], NULL);
        it_await(has_ended(p));
        assert_true(WIFEXITED(p->status));
        assert_int_equal(WEXITSTATUS(p->status), 2);
        assert_string_equal(text(p, p->out), "");
        assert_non_null(strstr(text(p, p->err), "usage: "));
    }
    struct program *p = start("barrier", "jump", "/path", NULL);
    it_await(has_ended(p));
    assert_int_equal(WEXITSTATUS(p->status), 2);
}

static void test_errors_are_told(void **state)
{
    (void)state;
    ends_with(start("rwlock", "write", "relative", "0", NULL), ZKS_EINVAL);
    ends_saying(start("barrier", "set", "relative", NULL), "\"relative\"",
                "not a valid path: no slash at the beginning");
    ends_saying(start("double_barrier", "/", "2", "id", NULL), "\"/\"",
                "not a valid path: the root itself");
    ends_saying(start("list", "relative", NULL), "\"relative\"",
                "not a valid path: no slash at the beginning");
    ends_with(start("epoll", "relative", "0", NULL), ZKS_EINVAL);
}

static void test_no_server_is_told(void **state)
{
    (void)state;
    char *servers = strdup(ens_servers());
    assert_non_null(servers);
    /* Nobody listens at the discard port. */
    assert_int_equal(setenv("ZKSYNC_SERVERS", "127.0.0.1:9", 1), 0);
    struct program *p = start("list", "/path", NULL);
    assert_int_equal(setenv("ZKSYNC_SERVERS", servers, 1), 0);
    free(servers);
    ends_saying(p, "127.0.0.1:9", "Connection refused");
}

static void test_rwlock(void **state)
{
    struct it *it = *state;
    struct program *p = start("rwlock", "write", it->path, "0", NULL);
    ends(p, 0, "");
    uint64_t first = token_said(p, "writing, token ", "\nreleased\n");
    p = start("rwlock", "read", it->path, "0", NULL);
    ends(p, 0, "");
    assert_true(token_said(p, "reading, token ", "\nreleased\n") > first);
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
}

static void test_rwlock_waits_and_list_shows_it(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    zks_rwlock *lock = it_rwlock(client, it->path);
    struct program *list = start("list", it->path, NULL);
    ends(list, 3, "");
    assert_string_equal(text(list, list->out), "nobody holds it\n");

    it_ok(zks_rwlock_wrlock(lock, ZKS_FOREVER));
    uint64_t ours = zks_rwlock_token(lock);
    struct program *p = start("rwlock", "read", it->path, "0", NULL);
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    list = start("list", it->path, NULL);
    ends(list, 0, "");
    char line[128];
    (void)snprintf(line, sizeof line, "holds write, token %" PRIu64 ", session 0x%" PRIx64, ours,
                   (uint64_t)zks_client_session_id(client));
    assert_ptr_equal(strstr(text(list, list->out), line), list->text);
    assert_non_null(strstr(text(list, list->out), "\nwaits read, token "));
    assert_string_equal(text(p, p->out), "");

    it_ok(zks_rwlock_unlock(lock, ZKS_FOREVER));
    ends(p, 0, "");
    assert_true(token_said(p, "reading, token ", "\nreleased\n") > ours);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

static void test_rwlock_readers_share(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_rdlock(lock, ZKS_FOREVER));
    ends(start("rwlock", "read", it->path, "0", NULL), 0, "");
    assert_int_equal(zks_rwlock_held(lock), ZKS_RWLOCK_READ);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

/* Stopped for longer than their sessions last, they must not take themselves for holders. */
static void test_who_sleeps_too_long_learns_that_it_lost(void **state)
{
    struct it *it = *state;
    char *path[] = {it_child(it, "rwlock"), it_child(it, "epoll")};
    struct program *p[] = {start("rwlock", "write", path[0], "100000", NULL),
                           start("epoll", path[1], "100000", NULL)};
    await_said(p[0], "writing");
    await_said(p[1], "holding");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(kill(p[i]->pid, SIGSTOP), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        rawzk_await_children(it->raw, path[i], 0, IT_LIMIT_MS);
        assert_int_equal(kill(p[i]->pid, SIGCONT), 0);
        ends_with(p[i], ZKS_ELOST);
        free(path[i]);
    }
}

static void test_barrier(void **state)
{
    struct it *it = *state;
    struct program *p = start("barrier", "wait", it->path, NULL);
    ends(p, 0, "");
    assert_string_equal(text(p, p->out), "passed\n");
    p = start("barrier", "set", it->path, NULL);
    ends(p, 0, "");
    assert_string_equal(text(p, p->out), "set\n");
    assert_true(rawzk_exists(it->raw, it->path, NULL));
    ends_saying(start("barrier", "set", it->path, NULL), it->path, zks_strerror(ZKS_EEXIST));

    struct program *waits = start("barrier", "wait", it->path, NULL);
    await_said(waits, "waiting\n");
    assert_false(has_ended(waits));
    p = start("barrier", "unset", it->path, NULL);
    ends(p, 0, "");
    assert_string_equal(text(p, p->out), "unset\n");
    ends(waits, 0, "");
    assert_string_equal(text(waits, waits->out), "waiting\npassed\n");
    ends_saying(start("barrier", "unset", it->path, NULL), it->path, zks_strerror(ZKS_ENOENT));
}

static void test_double_barrier(void **state)
{
    struct it *it = *state;
    struct program *alice = start("double_barrier", it->path, "2", "alice", NULL);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    assert_false(has_said(alice, "computing"));
    struct program *bob = start("double_barrier", it->path, "2", "bob", NULL);
    ends(alice, 0, "");
    ends(bob, 0, "");
    assert_string_equal(text(alice, alice->out), "alice: waiting for 2 to be here\n"
                                                 "alice: computing\n"
                                                 "alice: waiting for all to finish\n"
                                                 "alice: all have finished\n");
    assert_string_equal(text(bob, bob->out), "bob: waiting for 2 to be here\n"
                                             "bob: computing\n"
                                             "bob: waiting for all to finish\n"
                                             "bob: all have finished\n");
    rawzk_await_gone(it->raw, it->path, IT_LIMIT_MS);
}

static void test_testing(void **state)
{
    (void)state;
    struct program *p = start("testing", NULL);
    await_said(p, "the second unlocks: as it must");
    ends(p, 0, "");
}

static void test_epoll(void **state)
{
    struct it *it = *state;
    struct program *p = start("epoll", it->path, "1", NULL);
    ends(p, 0, "");
    (void)token_said(p, "waiting\nholding, token ", "\n0 s left\nreleased\n");
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);

    p = start("epoll", it->path, "100000", NULL);
    await_said(p, "holding");
    struct program *waits = start("epoll", it->path, "100000", NULL);
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    assert_int_equal(kill(waits->pid, SIGINT), 0);
    ends(waits, 0, "");
    assert_string_equal(text(waits, waits->out), "waiting\ngave up\n");
    assert_int_equal(rawzk_count_children(it->raw, it->path), 1);

    assert_int_equal(kill(p->pid, SIGTERM), 0);
    ends(p, 0, "");
    assert_true(has_said(p, "\nreleased\n"));
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
}

#define example_test(function) cmocka_unit_test_setup_teardown(function, it_setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        example_test(test_usage),
        example_test(test_errors_are_told),
        example_test(test_no_server_is_told),
        example_test(test_rwlock),
        example_test(test_rwlock_waits_and_list_shows_it),
        example_test(test_rwlock_readers_share),
        example_test(test_who_sleeps_too_long_learns_that_it_lost),
        example_test(test_barrier),
        example_test(test_double_barrier),
        example_test(test_epoll),
        example_test(test_testing),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
