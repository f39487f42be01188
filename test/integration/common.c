/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_SESSION_MS = 30000, WATCHDOG_S = 170, LEFT_MS = 20000 };

static const char root[] = "/zksync-test";

static void keeper_path(struct rawzk *raw, char path[IT_PATH_MAX])
{
    (void)snprintf(path, IT_PATH_MAX, "%s/keep-%llx", root,
                   (unsigned long long)rawzk_session_id(raw));
}

/* Programs run side by side, and the last one deletes the root. So each keeps an ephemeral znode there, and
 * none finds the root gone between two of its requests. */
static void keep_root(struct rawzk *raw)
{
    char path[IT_PATH_MAX];
    int rc = ZNONODE;
    keeper_path(raw, path);
    while (rc == ZNONODE || rc == ZCONNECTIONLOSS) {
        (void)rawzk_try_create(raw, root, NULL, 0, NULL, 0);
        rc = rawzk_try_create(raw, path, NULL, ZOO_EPHEMERAL, NULL, 0);
    }
    if (rc != ZOK && rc != ZNODEEXISTS) {
        ens_fail("create(\"%s\"): %s", path, zerror(rc));
    }
}

static void leave_root(struct rawzk *raw)
{
    char path[IT_PATH_MAX];
    keeper_path(raw, path);
    (void)rawzk_try_delete(raw, path);
    (void)rawzk_try_delete(raw, root);
}

int it_setup(void **state)
{
    static atomic_uint number;
    struct it *it = calloc(1, sizeof *it);
    assert_non_null(it);
    /* A test that hangs is ended by this signal, whatever it hangs in. */
    (void)alarm(WATCHDOG_S);
    if (ens_has_proxy()) {
        proxy_reset_all();
    }
    (void)snprintf(it->path, sizeof it->path, "%s/%ld-%llx-%u", root, (long)getpid(),
                   (unsigned long long)zks_clock_ms(), atomic_fetch_add(&number, 1));
    it->raw = rawzk_open(ens_direct());
    keep_root(it->raw);
    leftovers_begin(&it->left, it->path, it->raw);
    *state = it;
    return 0;
}

int it_teardown(void **state)
{
    struct it *it = *state;
    if (ens_has_proxy()) {
        proxy_reset_all();
    }
    ens_restore(); /* A test that has failed may have left them dead. */
    /* Before anything is deleted: that would fire the watches. */
    char *left = leftovers_await(&it->left, LEFT_MS);
    rawzk_delete_tree(it->raw, it->path);
    leave_root(it->raw);
    rawzk_close(it->raw);
    free(it);
    (void)alarm(0);
    if (left != NULL) {
        ens_fail("left behind on the servers: %s", left);
    }
    return 0;
}

void it_begin(int argc, char **argv)
{
    /* What the test printed before it died is wanted most. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
}

char *it_child(const struct it *it, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", it->path, name) < 0) {
        abort();
    }
    return path;
}

void it_need_proxy(void)
{
    if (!ens_has_proxy()) {
        (void)puts("# SKIP there is no Toxiproxy in front of the servers");
        skip();
    }
}

void it_need_ours(bool ours)
{
    if (!ours) {
        (void)puts("# SKIP the servers were not started by tools/ensemble");
        skip();
    }
}

void it_need_servers(size_t least)
{
    if (ens_count() < least) {
        (void)printf("# SKIP it takes %zu servers\n", least);
        skip();
    }
}

/* Passwords of sessions can be computed from their numbers with ZooKeeper's own servers only. */
void it_need_kill_session(void)
{
    if (ens_is_local()) {
        (void)puts("# SKIP nobody can take a session of this server over without its password");
        skip();
    }
}

zks_client *it_open_with(const zks_client_options *options)
{
    zks_client *client = NULL;
    int rc = zks_client_open(options, &client);
    if (rc != 0) {
        ens_fail("zks_client_open: %s", zks_err_name(rc));
    }
    assert_non_null(client);
    return client;
}

zks_client_options it_options(const char *servers, uint32_t session_timeout_ms)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = servers != NULL ? servers : ens_servers();
    options.session_timeout_ms = session_timeout_ms ? session_timeout_ms : DEFAULT_SESSION_MS;
    options.connect_timeout_ms = IT_LIMIT_MS;
    return options;
}

zks_client *it_open(const char *servers, uint32_t session_timeout_ms)
{
    const zks_client_options options = it_options(servers, session_timeout_ms);
    return it_open_with(&options);
}

zks_rwlock *it_rwlock(zks_client *client, const char *path)
{
    zks_rwlock *lock = NULL;
    it_ok(zks_rwlock_new(client, path, NULL, &lock));
    assert_non_null(lock);
    return lock;
}

zks_barrier *it_barrier(zks_client *client, const char *path)
{
    zks_barrier *barrier = NULL;
    it_ok(zks_barrier_new(client, path, &barrier));
    assert_non_null(barrier);
    return barrier;
}

zks_double_barrier *it_double_barrier(zks_client *client, const char *path, uint32_t n,
                                      const char *id)
{
    zks_double_barrier *barrier = NULL;
    it_ok(zks_double_barrier_new(client, path, n, id, &barrier));
    assert_non_null(barrier);
    return barrier;
}

int it_enter_in_vain(zks_double_barrier *barrier)
{
    int rc = ZKS_ETIMEDOUT;
    for (int64_t ms = 50; rc == ZKS_ETIMEDOUT && ms < IT_LIMIT_MS; ms *= 2) {
        rc = zks_double_barrier_enter(barrier, ms);
    }
    return rc;
}

void it_equal_at(int got, int want, const char *what, const char *file, int line)
{
    if (got != want) {
        ens_fail("%s:%d: %s is %s (%d), not %s (%d)", file, line, what, zks_err_name(got), got,
                 zks_err_name(want), want);
    }
}

void it_pause(void)
{
    const struct timespec little = {0, 3000000};
    (void)nanosleep(&little, NULL);
}

/* False when the limit is over. */
static bool wait_on(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    return pthread_cond_timedwait(cond, mutex, until) != ETIMEDOUT;
}

static struct timespec limit(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IT_LIMIT_MS / 1000;
    return until;
}

static void op_completed(zks_op *op, int result, void *arg)
{
    struct it_op *mine = arg;
    (void)op;
    (void)pthread_mutex_lock(&mine->mutex);
    if (mine->done) {
        ens_fail("an operation completed twice: %s, then %s", zks_err_name(mine->result),
                 zks_err_name(result));
    }
    mine->done = true;
    mine->result = result;
    mine->at = zks_clock_ms();
    (void)pthread_cond_broadcast(&mine->cond);
    (void)pthread_mutex_unlock(&mine->mutex);
}

void it_op_init(struct it_op *op)
{
    memset(op, 0, sizeof *op);
    (void)pthread_mutex_init(&op->mutex, NULL);
    (void)pthread_cond_init(&op->cond, NULL);
    zks_op_init(&op->op, op_completed, op);
}

bool it_op_done(struct it_op *op)
{
    (void)pthread_mutex_lock(&op->mutex);
    bool done = op->done;
    (void)pthread_mutex_unlock(&op->mutex);
    return done;
}

int it_op_wait(struct it_op *op)
{
    const struct timespec until = limit();
    (void)pthread_mutex_lock(&op->mutex);
    while (!op->done) {
        if (!wait_on(&op->cond, &op->mutex, &until)) {
            (void)pthread_mutex_unlock(&op->mutex);
            ens_fail("an operation never completed");
        }
    }
    op->done = false;
    int result = op->result;
    (void)pthread_mutex_unlock(&op->mutex);
    return result;
}

void it_states_init(struct it_states *states)
{
    memset(states, 0, sizeof *states);
    (void)pthread_mutex_init(&states->mutex, NULL);
    (void)pthread_cond_init(&states->cond, NULL);
}

void it_states_listener(zks_client *client, enum zks_client_state state, void *arg)
{
    struct it_states *states = arg;
    int64_t session = zks_client_session_id(client);
    (void)pthread_mutex_lock(&states->mutex);
    if (states->count < IT_STATES_MAX) {
        states->state[states->count] = state;
        states->session[states->count] = session;
        states->at[states->count] = zks_clock_ms();
        states->count++;
    }
    (void)pthread_cond_broadcast(&states->cond);
    (void)pthread_mutex_unlock(&states->mutex);
}

size_t it_states_await(struct it_states *states, size_t from, enum zks_client_state state)
{
    const struct timespec until = limit();
    size_t i = from;
    (void)pthread_mutex_lock(&states->mutex);
    for (;;) {
        while (i < states->count && states->state[i] != state) {
            i++;
        }
        if (i < states->count) {
            break;
        }
        if (!wait_on(&states->cond, &states->mutex, &until)) {
            (void)pthread_mutex_unlock(&states->mutex);
            ens_fail("the client was never %s", zks_client_state_name(state));
        }
    }
    (void)pthread_mutex_unlock(&states->mutex);
    return i;
}

size_t it_states_count(struct it_states *states)
{
    (void)pthread_mutex_lock(&states->mutex);
    size_t count = states->count;
    (void)pthread_mutex_unlock(&states->mutex);
    return count;
}

pthread_t it_thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, run, arg);
    if (rc != 0) {
        ens_fail("pthread_create: %s", strerror(rc));
    }
    return thread;
}

void *it_thread_join(pthread_t thread)
{
    const struct timespec until = limit();
    void *result = NULL;
    int rc = pthread_timedjoin_np(thread, &result, &until);
    if (rc != 0) {
        ens_fail("a thread of the test never ended: %s", strerror(rc));
    }
    return result;
}

pid_t it_spawn(const char *const *arguments)
{
    char *words[8] = {NULL};
    pid_t parent = getpid();
    /* execv takes the arguments as not constant for historical reasons only. */
    words[0] = (char *)(uintptr_t)program_invocation_name;
    for (size_t i = 0; i < 6 && arguments[i] != NULL; i++) {
        words[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(WATCHDOG_S);
        if (getppid() == parent) {
            (void)execv("/proc/self/exe", words);
        }
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

int it_exit_status(pid_t pid)
{
    int status = 0;
    pid_t ended = 0;
    it_await((ended = waitpid(pid, &status, WNOHANG)) != 0);
    assert_int_equal(ended, pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t entries(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

size_t it_threads(void)
{
    return entries("/proc/self/task");
}

size_t it_descriptors(void)
{
    return entries("/proc/self/fd");
}
