/* SPDX-License-Identifier: Apache-2.0 */
/* The library's threads: which signals they block, and that none of them is needed for more than what it
 * does.  The linker puts a function in the place of pthread_create(), for the library's own objects;
 * libzookeeper's calls are refused by the system itself, in a process that may have few threads. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "kill_session.h"

enum { REFUSED = 3, CANNOT_LIMIT = 4, TIDS_MAX = 64, ONE_UID = 1000000000 };

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

/* How many threads from now the one is that cannot be had, or whether none can. */
static atomic_int left;
static atomic_bool none;
/* Threads that were started with signals of the application's. */
static atomic_uint open_to_signals;

static bool fails_now(void)
{
    int n = atomic_load(&left);
    while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1)) {
    }
    return n == 1 || atomic_load(&none);
}

static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
           number == SIGTRAP || number == SIGSYS || number == SIGABRT;
}

/* Those that cannot be blocked at all, or are the C library's. */
static bool is_apart(int number)
{
    return number == SIGKILL || number == SIGSTOP || (number > SIGSYS && number < SIGRTMIN);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    sigset_t mask;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    for (int i = 1; i <= SIGRTMAX; i++) {
        if (!is_apart(i) && sigismember(&mask, i) == is_fault(i)) {
            atomic_fetch_add(&open_to_signals, 1);
            break;
        }
    }
    return fails_now() ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

static bool reached(void)
{
    return atomic_exchange(&left, 0) == 0;
}

static size_t threads(pid_t tids[TIDS_MAX])
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.' && n < TIDS_MAX) {
            tids[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
        }
    }
    (void)closedir(dir);
    return n;
}

/* The mask of a thread; all signals where it has ended. */
static unsigned long long blocked(pid_t tid)
{
    char line[256];
    unsigned long long mask = ~0ULL;
    (void)snprintf(line, sizeof line, "/proc/self/task/%ld/status", (long)tid);
    FILE *file = fopen(line, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "SigBlk: %llx", &mask);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return mask;
}

/* All threads of the process but those that there were before. */
static size_t check_masks(const pid_t *before, size_t n_before)
{
    pid_t tids[TIDS_MAX];
    size_t n = threads(tids);
    size_t checked = 0;
    for (size_t i = 0; i < n; i++) {
        bool ours = true;
        for (size_t k = 0; k < n_before; k++) {
            ours = ours && tids[i] != before[k];
        }
        unsigned long long mask = ours ? blocked(tids[i]) : ~0ULL;
        for (int s = 1; mask != ~0ULL && s <= SIGRTMAX; s++) {
            bool blocks = (mask >> (s - 1) & 1) != 0;
            if (!is_apart(s) && blocks == is_fault(s)) {
                ens_fail("a thread of the library %s signal %d", blocks ? "blocks" : "takes", s);
            }
        }
        checked += mask != ~0ULL;
    }
    return checked;
}

static void signals_are_the_applications(void **state)
{
    struct it *it = *state;
    pid_t before[TIDS_MAX];
    size_t n = threads(before);
    it_need_kill_session();
    zks_client *client = it_open(ens_servers(), 0);
    assert_true(check_masks(before, n) >= 3);
    int64_t session = zks_client_session_id(client);
    kill_session(client);
    it_await(zks_client_session_id(client) != session && zks_client_session_id(client) != 0);
    assert_true(check_masks(before, n) >= 3);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    assert_true(check_masks(before, n) >= 3);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    assert_int_equal(atomic_load(&open_to_signals), 0);
}

static void the_mask_of_the_caller(void **state)
{
    sigset_t first;
    sigset_t then;
    (void)state;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &first);
    zks_client *client = it_open(ens_servers(), 0);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &then);
    for (int i = 1; i <= SIGRTMAX; i++) {
        assert_int_equal(sigismember(&first, i), sigismember(&then, i));
    }
    it_ok(zks_client_close(client));
}

/* Each of many times, for another thread that does not block it may be slower to take it. */
static bool takes(int number)
{
    sigset_t set;
    int taken = number;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 1000 && taken == number; i++) {
        (void)kill(getpid(), number);
        (void)sched_yield();
        taken = sigwait(&set, &taken) == 0 ? taken : 0;
    }
    return taken == number;
}

/* As a program does that takes its signals in one place, also one of a fault that it has blocked before
 * it opens a client. */
static int wait_for_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTRAP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    zks_client *client = it_open(ens_servers(), 0);
    bool ok = takes(SIGTERM) && takes(SIGTRAP);
    return zks_client_close(client) == 0 && ok ? 0 : 1;
}

static void a_program_that_waits_for_signals(void **state)
{
    const char *words[] = {"--sigwait", NULL};
    (void)state;
    assert_int_equal(it_exit_status(it_spawn(words)), 0);
}

/* ---- Where there are no threads ---- */

/* Uses all that a client has threads for: 0, or ZKS_ESYSTEM. */
static int use(const char *path)
{
    zks_client_options options = it_options(NULL, 0);
    zks_client *client = NULL;
    int rc = zks_client_open(&options, &client);
    if (rc != 0) {
        return rc;
    }
    zks_rwlock *lock = it_rwlock(client, path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    if (!ens_is_local()) {
        kill_session(client);
        it_await(zks_rwlock_wrlock(lock, IT_LIMIT_MS) == 0);
    }
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    return 0;
}

static void each_thread_once(void **state)
{
    struct it *it = *state;
    int n = 0;
    bool more = true;
    while (more) {
        atomic_store(&left, ++n);
        int rc = use(it->path);
        more = reached();
        if (rc != 0) {
            it_equal(rc, ZKS_ESYSTEM);
            assert_non_null(strstr(zks_last_error(), strerror(EAGAIN)));
        }
    }
    printf("# %d threads\n", n - 1);
    assert_true(n > 6);
}

static atomic_uint complaints;

static void count_complaints(enum zks_log_level level, const char *line, void *arg)
{
    (void)arg;
    if (level == ZKS_LOG_ERROR && strstr(line, "cannot begin a session") != NULL &&
        strstr(line, strerror(EAGAIN)) != NULL) {
        atomic_fetch_add(&complaints, 1);
    }
}

static void no_thread_for_the_next_session(void **state)
{
    struct it *it = *state;
    zks_client_options options = it_options(NULL, 0);
    zks_client *client = NULL;
    it_need_kill_session();
    options.log = count_complaints;
    it_ok(zks_client_open(&options, &client));
    zks_rwlock *lock = it_rwlock(client, it->path);
    atomic_store(&complaints, 0);
    atomic_store(&none, true);
    kill_session(client);
    it_await(atomic_load(&complaints) >= 2);
    it_equal(zks_rwlock_wrlock(lock, 1), ZKS_ETIMEDOUT);
    atomic_store(&none, false);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

/* The driver's thread closes it itself. */
static void no_thread_to_close_a_session(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(ens_servers(), 0);
    zks_client *next = it_open(ens_servers(), 0);
    zks_rwlock *lock = it_rwlock(client, it->path);
    zks_rwlock *next_lock = it_rwlock(next, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    atomic_store(&none, true);
    it_ok(zks_client_close(client));
    atomic_store(&none, false);
    it_ok(zks_rwlock_wrlock(next_lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    zks_rwlock_free(next_lock);
    it_ok(zks_client_close(next));
}

/* Becomes a user who has no other process, and may have few threads.  Root is exempt from the limit. */
static bool limit_threads(rlim_t most)
{
    const struct rlimit limit = {most, most};
    uid_t uid = (uid_t)(ONE_UID + getpid());
    bool alone = geteuid() == 0 ? setgroups(0, NULL) == 0 && setresuid(uid, uid, uid) == 0
                                : unshare(CLONE_NEWUSER) == 0;
    return alone && setrlimit(RLIMIT_NPROC, &limit) == 0;
}

static int open_with_few_threads(const char *most, const char *path)
{
    if (!limit_threads((rlim_t)strtoul(most, NULL, 10))) {
        return CANNOT_LIMIT;
    }
    int rc = use(path);
    bool said = rc != 0 && strstr(zks_last_error(), strerror(EAGAIN)) != NULL;
    return rc == 0 ? 0 : rc == ZKS_ESYSTEM && said ? REFUSED : 1;
}

static void few_threads(void **state)
{
    struct it *it = *state;
    int status = REFUSED;
    unsigned most = 0;
    while (status == REFUSED) {
        char number[16];
        const char *words[] = {"--few", number, it->path, NULL};
        (void)snprintf(number, sizeof number, "%u", ++most);
        status = it_exit_status(it_spawn(words));
    }
    if (status == CANNOT_LIMIT) {
        (void)puts("# SKIP this user cannot limit the threads of a process");
        skip();
    }
    printf("# %u threads\n", most);
    assert_int_equal(status, 0);
    assert_true(most > 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(signals_are_the_applications),
        it_test(the_mask_of_the_caller),
        it_test(a_program_that_waits_for_signals),
        it_test(each_thread_once),
        it_test(no_thread_for_the_next_session),
        it_test(no_thread_to_close_a_session),
        it_test(few_threads),
    };
    if (argc > 1 && strcmp(argv[1], "--sigwait") == 0) {
        return wait_for_signals();
    }
    if (argc > 3 && strcmp(argv[1], "--few") == 0) {
        _exit(
            open_with_few_threads(argv[2], argv[3])); /* A leak sanitizer wants a thread at exit. */
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
