/* SPDX-License-Identifier: Apache-2.0 */
/* The double barrier against real servers: the death of participants, the end of sessions, and what
 * stands at its path that it has not put there. */
#include "common.h"
#include "kill_session.h"
#include "sides.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void test_session_expires_while_waiting(void **state)
{
    struct it *it = *state;
    struct side s[2];
    it_need_kill_session();
    open_all(s, it, 2, 2);
    begin_waiting(&s[0], it, 1);
    for (unsigned round = 0; round < 3; round++) {
        int64_t session = zks_client_session_id(s[0].client);
        size_t from = it_states_count(&s[0].states);
        kill_session(s[0].client);
        from = it_states_await(&s[0].states, from, ZKS_CLIENT_LOST);
        (void)it_states_await(&s[0].states, from, ZKS_CLIENT_RECONNECTED);
        assert_true(zks_client_session_id(s[0].client) != session);
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
        still_waits(&s[0]);
    }
    enter_all(s, 1, 2);
    it_ok(it_op_wait(&s[0].op));
    leave_all(s, 0, 2);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    close_all(s, 2);
}

static void test_session_expires_while_inside(void **state)
{
    struct it *it = *state;
    struct side s[SIDES];
    it_need_kill_session();
    open_all(s, it, SIDES, SIDES);
    enter_all(s, 0, SIDES);
    kill_session(s[0].client);
    leave_all(s, 1, SIDES);
    size_t lost = it_states_await(&s[0].states, 0, ZKS_CLIENT_LOST);
    (void)it_states_await(&s[0].states, lost, ZKS_CLIENT_RECONNECTED);
    it_equal(zks_double_barrier_leave(s[0].barrier, ZKS_FOREVER), ZKS_ELOST);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    enter_all(s, 0, SIDES);
    leave_all(s, 0, SIDES);
    close_all(s, SIDES);
}

/* This program again, as a participant that says so when it is inside and stays there. */
static int child_main(char **argv)
{
    char end;
    zks_client *client = it_open(argv[2], (uint32_t)strtoul(argv[6], NULL, 10));
    zks_double_barrier *barrier =
        it_double_barrier(client, argv[3], (uint32_t)strtoul(argv[4], NULL, 10), argv[5]);
    it_ok(zks_double_barrier_enter(barrier, ZKS_FOREVER));
    if (write(STDOUT_FILENO, "i", 1) != 1) {
        return 1;
    }
    /* It is killed there, or its parent has died and it goes by itself. */
    (void)read(STDIN_FILENO, &end, 1);
    return 0;
}

struct child {
    pid_t pid;
    int to;
    int from;
};

static void child_start(struct child *c, const char *path, const char *n, const char *id,
                        unsigned session_ms)
{
    char session[16];
    int in[2];
    int out[2];
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)(uintptr_t) "participant",
                    (char *)(uintptr_t) "participant",
                    (char *)(uintptr_t)ens_direct(),
                    (char *)(uintptr_t)path,
                    (char *)(uintptr_t)n,
                    (char *)(uintptr_t)id,
                    session,
                    NULL};
    (void)snprintf(session, sizeof session, "%u", session_ms);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&c->pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(in[0]);
    (void)close(out[1]);
    c->to = in[1];
    c->from = out[0];
}

static void child_await_inside(struct child *c)
{
    char said = 0;
    assert_int_equal(read(c->from, &said, 1), 1);
    assert_int_equal(said, 'i');
}

static void child_kill(struct child *c)
{
    assert_int_equal(kill(c->pid, SIGKILL), 0);
    assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
    (void)close(c->to);
    (void)close(c->from);
}

static void test_all_participants_are_killed(void **state)
{
    struct it *it = *state;
    struct child child[SIDES];
    struct side s[SIDES];
    const char *ids[] = {"s0", "s1", "x"};
    open_all(s, it, SIDES, SIDES);
    for (size_t i = 0; i < SIDES; i++) {
        child_start(&child[i], it->path, "3", ids[i], IT_SESSION_MS);
    }
    for (size_t i = 0; i < SIDES; i++) {
        child_await_inside(&child[i]);
    }
    const size_t inside = 1 + SIDES; /* With `ready`. */
    rawzk_await_children(it->raw, it->path, inside, IT_LIMIT_MS);
    for (size_t i = 0; i < SIDES; i++) {
        child_kill(&child[i]);
    }
    /* When their sessions have ended, what is left of the round is not theirs. */
    rawzk_await_children(it->raw, it->path, inside - SIDES, IT_LIMIT_MS);
    begin_enter(&s[0]);
    begin_enter(&s[1]);
    /* The dead round is cleared away, and only the two are there. */
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    still_waits(&s[0]);
    still_waits(&s[1]);
    begin_enter(&s[2]);
    wait_all(s, 0, SIDES);
    leave_all(s, 0, SIDES);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    close_all(s, SIDES);
}

/* A participant dies inside, by a signal, and is started again with its id while its session lives, which is long
 * enough for a slow machine. */
static void comes_back(struct it *it, int by)
{
    struct child child;
    struct side s[2];
    open_all(s, it, 2, 2); /* s[0] has the child's id. */
    child_start(&child, it->path, "2", "s0", 3 * IT_SESSION_MS);
    enter_all(s, 1, 2);
    child_await_inside(&child);
    assert_int_equal(kill(child.pid, by), 0);
    it_equal(zks_double_barrier_enter(s[0].barrier, 0), ZKS_EEXIST);
    begin_enter(&s[0]);
    rawzk_await_children(it->raw, it->path, 4, IT_LIMIT_MS); /* With `ready`. */
    still_waits(&s[0]);
    leave_all(s, 1, 2); /* When the session of the dead one has ended. */
    still_waits(&s[0]);
    enter_all(s, 1, 2);
    it_ok(it_op_wait(&s[0].op));
    leave_all(s, 0, 2);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    child_kill(&child);
    close_all(s, 2);
}

static void test_a_killed_participant_comes_back(void **state)
{
    comes_back(*state, SIGKILL);
}

static void test_a_stopped_participant_comes_back(void **state)
{
    comes_back(*state, SIGSTOP);
}

static void test_a_participant_is_killed_while_others_leave(void **state)
{
    struct it *it = *state;
    struct child child;
    struct side s[SIDES];
    open_all(s, it, SIDES, SIDES);
    child_start(&child, it->path, "3", "x", IT_SESSION_MS);
    enter_all(s, 0, 2);
    child_await_inside(&child);
    begin_leave(&s[0]);
    begin_leave(&s[1]);
    still_waits(&s[0]);
    still_waits(&s[1]);
    child_kill(&child);
    wait_all(s, 0, 2);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    close_all(s, SIDES);
}

static void test_strange_data_on_the_parent_is_left(void **state)
{
    struct it *it = *state;
    char data[64];
    size_t length = sizeof data;
    struct side s[2];
    open_all(s, it, 2, 2);
    rawzk_create_path(it->raw, it->path);
    rawzk_set(it->raw, it->path, "not ours", 8);
    enter_all(s, 0, 2);
    leave_all(s, 0, 2);
    assert_true(rawzk_get(it->raw, it->path, data, &length, NULL));
    assert_int_equal(length, 8);
    assert_memory_equal(data, "not ours", 8);
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
    close_all(s, 2);
}

static void test_a_strange_ready_is_elayout(void **state)
{
    struct it *it = *state;
    const char *const contents[] = {"", "what is this?\n", "zksync-round 1\n"};
    char *ready = it_child(it, "ready");
    struct side s[2];
    open_all(s, it, 2, 2);
    rawzk_create_path(it->raw, it->path);
    for (size_t i = 0; i < 3; i++) {
        rawzk_create(it->raw, ready, contents[i], 0, NULL, 0);
        it_equal(zks_double_barrier_enter(s[1].barrier, ZKS_FOREVER), ZKS_ELAYOUT);
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
        assert_true(rawzk_exists(it->raw, ready, NULL));
        rawzk_delete(it->raw, ready);
    }
    enter_all(s, 0, 2);
    leave_all(s, 0, 2);
    close_all(s, 2);
    free(ready);
}

/* What stands at `ready` in a round is put there again when the round is over. */
static void test_a_dead_rounds_ready_is_cleared(void **state)
{
    struct it *it = *state;
    char roster[4096];
    char child[IT_PATH_MAX + 300];
    size_t length = sizeof roster;
    struct rawzk_names names;
    char *ready = it_child(it, "ready");
    struct side s[2];
    open_all(s, it, 2, 2);
    enter_all(s, 0, 2);
    assert_true(rawzk_get(it->raw, ready, roster, &length, NULL));
    rawzk_children(it->raw, ready, &names);
    leave_all(s, 0, 2);
    rawzk_create_path(it->raw, ready);
    rawzk_set(it->raw, ready, roster, length);
    for (size_t i = 0; i < names.count; i++) {
        (void)snprintf(child, sizeof child, "%s/%s", ready, names.name[i]);
        rawzk_create(it->raw, child, NULL, 0, NULL, 0);
    }
    rawzk_names_free(&names);
    begin_enter(&s[0]);
    rawzk_await_gone(it->raw, ready, IT_LIMIT_MS);
    still_waits(&s[0]);
    enter_all(s, 1, 2);
    it_ok(it_op_wait(&s[0].op));
    leave_all(s, 0, 2);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    close_all(s, 2);
    free(ready);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_session_expires_while_waiting),
        it_test(test_session_expires_while_inside),
        it_test(test_all_participants_are_killed),
        it_test(test_a_killed_participant_comes_back),
        it_test(test_a_stopped_participant_comes_back),
        it_test(test_a_participant_is_killed_while_others_leave),
        it_test(test_strange_data_on_the_parent_is_left),
        it_test(test_a_strange_ready_is_elayout),
        it_test(test_a_dead_rounds_ready_is_cleared),
    };
    if (argc == 7 && strcmp(argv[1], "participant") == 0) {
        return child_main(argv);
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
