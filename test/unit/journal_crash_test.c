/* SPDX-License-Identifier: Apache-2.0 */
/* Everything ends at each call of the journal's in turn, and each call fails in turn: what was acknowledged is
 * there, and nothing but a part of a batch is missing. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal_disk.h"

UNIT_TAKES_LONG

enum { BATCHES = 36, COMPACT = 1200, NEVER = 1 << 30 };

struct world {
    char folder[128];
    char other[128]; /* Where it is looked at. */
    struct states states;
    size_t acknowledged; /* The last state that is. */
    uint64_t seed;
    struct disk disk;
    size_t looked;
    size_t kinds[4]; /* How often there was a snapshot, one that was being made, two logs, none. */
};

static void world_make(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    folder_make(w->folder, "here");
    folder_make(w->other, "there");
    w->seed = seed;
}

static void world_free(struct world *w)
{
    folder_remove(w->folder);
    folder_remove(w->other);
    states_free(&w->states);
}

/* Writes on from an empty folder; false where a sync has failed. */
static bool play(struct world *w, size_t batches)
{
    struct box b;
    uint64_t seed = w->seed;
    char again[ZKS__WHY_SIZE];
    int rc = box_try(&b, w->folder, COMPACT);
    if (rc == 0) {
        states_add(&w->states, &b);
    }
    for (size_t i = 0; i < batches && rc == 0; i++) {
        for (uint32_t n = 1 + unit_below(&seed, 3); n > 0; n--) {
            box_random(&b, &seed);
        }
        states_add(&w->states, &b);
        rc = zks__journal_sync(b.journal, b.why);
        if (rc == 0) {
            w->acknowledged = w->states.n - 1;
        }
        if (unit_below(&seed, 6) == 0) {
            box_catch_up();
        }
    }
    if (rc != 0 && b.journal != NULL) {
        box_random(&b, &seed);
        assert_int_equal(zks__journal_sync(b.journal, again), rc);
        assert_string_equal(again, b.why);
    }
    box_close(&b);
    return rc == 0;
}

static void new_state(struct states *states)
{
    struct garden g;
    struct box b = {0};
    garden_open(&g, NULL, NULL);
    b.g = g;
    states_add(states, &b);
    garden_close(&g);
}

/* It is one of the states that it may be, and goes on from there. */
static void expect(struct world *w, const struct image *image, bool goes_on)
{
    struct box b;
    struct states after = {0};
    uint64_t seed = w->looked;
    enum box_pace pace = box_pace;
    image_put(image, w->other);
    box_pace = BOX_AT_ONCE;
    box_open(&b, w->other, goes_on ? 1 : NEVER);
    size_t to = w->states.n > 0 ? w->states.n - 1 : 0;
    (void)states_find(&w->states, w->acknowledged, to, &b);
    for (int i = 0; i < 3 && goes_on; i++) {
        (void)zks__journal_tend(b.journal, true); /* With a log in which there is nothing yet. */
        box_random(&b, &seed);
        box_sync(&b);
        states_free(&after);
        states_add(&after, &b);
        box_close(&b);
        box_open(&b, w->other, 1);
        assert_int_equal(b.told.len, 0);
        (void)states_find(&after, 0, 0, &b);
    }
    states_free(&after);
    box_close(&b);
    box_pace = pace;
}

/* ---- The end at each call ---- */

/* While it recovers it ends again. */
static void look_again(void *arg)
{
    struct world *w = arg;
    struct image image;
    char kept[128];
    (void)snprintf(kept, sizeof kept, "%s", w->other);
    folder_make(w->other, "third");
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            image_take(&image, kept);
        } else {
            disk_lose(&w->disk, &image, &w->seed);
        }
        expect(w, &image, false);
        image_free(&image);
    }
    folder_remove(w->other);
    (void)snprintf(w->other, sizeof w->other, "%s", kept);
}

static void recover_and_end(struct world *w, const struct image *image)
{
    struct world *inner = malloc(sizeof *inner);
    assert_non_null(inner);
    struct box b;
    image_put(image, w->other);
    memcpy(inner, w, sizeof *inner);
    disk_watch(&inner->disk, w->other, look_again, inner);
    box_open(&b, w->other, NEVER);
    disk_leave(&inner->disk);
    box_close(&b);
    free(inner);
}

static void count_kinds(struct world *w, const struct image *image)
{
    size_t logs = 0;
    size_t snapshots = 0;
    for (size_t i = 0; i < image->n; i++) {
        bool fresh = strstr(image->files[i].name, ".new") != NULL;
        bool log = strncmp(image->files[i].name, "log.", 4) == 0;
        logs += log && !fresh;
        snapshots += !log && !fresh;
        w->kinds[1] += !log && fresh;
    }
    w->kinds[0] += snapshots > 0;
    w->kinds[2] += logs > 1;
    w->kinds[3] += logs == 0;
}

static void look(void *arg)
{
    struct world *w = arg;
    struct image image;
    if (w->states.n == 0) {
        /* It is still being opened. */
        new_state(&w->states);
        look(arg);
        states_free(&w->states);
        return;
    }
    uint64_t seed = w->seed + w->looked;
    for (int i = 0; i < 4; i++) {
        if (i == 0) {
            image_take(&image, w->folder);
        } else {
            disk_lose(&w->disk, &image, &seed);
        }
        count_kinds(w, &image);
        expect(w, &image, w->looked % 7 == 0);
        if (w->looked % 9 == 0) {
            recover_and_end(w, &image);
        }
        image_free(&image);
        w->looked++;
    }
}

static void test_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed += unit_step(2)) {
        struct world *w = malloc(sizeof *w);
        assert_non_null(w);
        world_make(w, seed);
        box_pace = seed % 2 == 0 ? BOX_AT_ONCE : BOX_LATER;
        disk_watch(&w->disk, w->folder, look, w);
        assert_true(play(w, BATCHES));
        disk_leave(&w->disk);
        /* It has seen what it was to see. */
        assert_int_equal(w->acknowledged, BATCHES);
        for (size_t i = 0; i < COUNT(w->kinds); i++) {
            assert_true(w->kinds[i] > 0);
        }
        world_free(w);
        free(w);
    }
}

/* ---- Each call fails ---- */

static bool fail_one(struct world *w, size_t fail_at, int error)
{
    struct image image;
    disk_watch(&w->disk, w->folder, NULL, NULL);
    w->disk.fail_at = fail_at;
    w->disk.error = error;
    bool went = play(w, BATCHES / 3);
    bool failed = w->disk.failed != NULL;
    /* A signal breaks off only what takes its time. */
    bool harmless = error == EINTR && failed &&
                    (strstr(w->disk.failed, "sync") != NULL || w->disk.failed[0] == 'p');
    if (!failed || error == 0 || harmless) {
        assert_true(went);
        assert_int_equal(w->acknowledged, BATCHES / 3);
    }
    struct disk *d = disk_pause();
    if (w->states.n == 0) {
        new_state(&w->states);
    }
    for (int i = 0; i < 3; i++) {
        if (i == 0) {
            image_take(&image, w->folder);
        } else {
            disk_lose(&w->disk, &image, &w->seed);
        }
        expect(w, &image, true);
        image_free(&image);
    }
    disk_resume(d);
    disk_leave(&w->disk);
    return failed;
}

static void test_each_call_fails(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EINTR, 0};
    box_pace = BOX_LATER;
    for (size_t e = 0; e < COUNT(errors); e += unit_step(3)) {
        bool failed = true;
        for (size_t fail_at = 1; failed; fail_at++) {
            struct world *w = malloc(sizeof *w);
            assert_non_null(w);
            world_make(w, 5);
            failed = fail_one(w, fail_at, errors[e]);
            world_free(w);
            free(w);
        }
    }
}

/* A server is started again after a sync has failed, and acknowledges more: what it has found was not on the
 * disk, although it could be read, and has to be there now. */
static bool fail_and_go_on(struct world *w, size_t fail_at)
{
    struct states after = {0};
    struct image image;
    struct box b;
    disk_watch(&w->disk, w->folder, NULL, NULL);
    w->disk.fail_at = fail_at;
    w->disk.error = EIO;
    (void)play(w, BATCHES / 3);
    bool failed = w->disk.failed != NULL;
    if (failed && strstr(w->disk.failed, "sync") != NULL) {
        w->disk.fail_at = 0;
        box_open(&b, w->folder, NEVER);
        box_random(&b, &w->seed);
        box_sync(&b);
        states_add(&after, &b);
        box_close(&b);
        struct disk *d = disk_pause();
        for (int i = 0; i < 4; i++) {
            disk_lose(&w->disk, &image, &w->seed);
            image_put(&image, w->other);
            box_open(&b, w->other, NEVER);
            (void)states_find(&after, 0, 0, &b);
            box_close(&b);
            image_free(&image);
        }
        disk_resume(d);
        states_free(&after);
    }
    disk_leave(&w->disk);
    return failed;
}

static void test_a_failed_sync_is_remembered(void **state)
{
    (void)state;
    bool failed = true;
    box_pace = BOX_AT_ONCE;
    for (size_t fail_at = 1; failed; fail_at++) {
        struct world *w = malloc(sizeof *w);
        assert_non_null(w);
        world_make(w, 9);
        failed = fail_and_go_on(w, fail_at);
        world_free(w);
        free(w);
    }
}

/* To open it fails, or it does not matter; nothing is worse for it, and nobody speaks of damage. */
static void test_each_call_fails_to_open(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EMFILE};
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_make(w, 6);
    box_pace = BOX_AT_ONCE;
    assert_true(play(w, BATCHES));
    struct image image;
    image_take(&image, w->folder);
    /* The last batch is cut off. */
    struct image_file *log = image_find(&image, "log.");
    log->len = 60;
    w->acknowledged = 0;
    for (size_t e = 0; e < COUNT(errors); e++) {
        bool failed = true;
        for (size_t fail_at = 1; failed; fail_at++) {
            struct box b;
            struct image after;
            image_put(&image, w->folder);
            disk_watch(&w->disk, w->folder, NULL, NULL);
            w->disk.fail_at = fail_at;
            w->disk.error = errors[e];
            int rc = box_try(&b, w->folder, NEVER);
            failed = w->disk.failed != NULL;
            assert_true(rc == 0 || rc == ZKS__J_SYSTEM);
            assert_true(failed || rc == 0);
            box_close(&b);
            disk_leave(&w->disk);
            image_take(&after, w->folder);
            expect(w, &after, true);
            image_free(&after);
        }
    }
    image_free(&image);
    world_free(w);
    free(w);
}

/* ---- A server that is killed, and a power failure after the next one has begun ---- */

/* In a child, in the middle of a call: its server has gone with all that it had open. */
static void begin_anew(void *arg)
{
    struct world *w = arg;
    struct box b;
    struct image image;
    w->disk.kill_at = 0;
    w->disk.before = NULL;
    for (int fd = 3; fd < 64; fd++) {
        (void)close(fd);
    }
    box_pace = BOX_AT_ONCE;
    box_open(&b, w->folder, NEVER);
    struct disk *d = disk_pause();
    if (w->states.n == 0) {
        new_state(&w->states);
    }
    /* What it has found others have seen by now. */
    size_t seen = states_find(&w->states, w->acknowledged, w->states.n - 1, &b);
    w->acknowledged = seen;
    for (int i = 0; i < 6; i++) {
        disk_lose(&w->disk, &image, &w->seed);
        expect(w, &image, i < 2);
        image_free(&image);
    }
    disk_resume(d);
    /* What it goes on with is kept as well. */
    uint64_t seed = w->seed;
    box_random(&b, &seed);
    states_free(&w->states);
    w->acknowledged = 0;
    states_add(&w->states, &b);
    box_sync(&b);
    (void)disk_pause();
    for (int i = 0; i < 6; i++) {
        disk_lose(&w->disk, &image, &w->seed);
        expect(w, &image, i < 2);
        image_free(&image);
    }
    folder_remove(w->other);
    _exit(0);
}

static void test_killed_then_lost(void **state)
{
    (void)state;
    int status = 0;
    for (size_t kill_at = 1; status == 0; kill_at++) {
        struct world *w = malloc(sizeof *w);
        assert_non_null(w);
        world_make(w, 21);
        box_pace = BOX_LATER;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            disk_watch(&w->disk, w->folder, begin_anew, w);
            w->disk.kill_at = kill_at;
            _exit(play(w, BATCHES / 3) ? 77 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        world_free(w);
        free(w);
    }
    /* It has come to the end. */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
}

/* ---- A process that is killed ---- */

static void write_and_tell(struct world *w, int fd)
{
    struct box b;
    uint64_t seed = w->seed;
    box_pace = BOX_THREAD;
    box_open(&b, w->folder, COMPACT);
    for (size_t i = 0; i < w->states.n - 1; i++) {
        for (uint32_t n = 1 + unit_below(&seed, 3); n > 0; n--) {
            box_random(&b, &seed);
        }
        box_sync(&b);
        (void)unit_below(&seed, 6);
        if (write(fd, "+", 1) != 1) {
            _exit(1);
        }
    }
    /* It is to be killed, not to end. */
    for (;;) {
        (void)poll(NULL, 0, -1);
    }
}

static void kill_one(struct world *w, size_t after)
{
    int fds[2];
    char byte;
    struct image image;
    folder_remove(w->folder);
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        write_and_tell(w, fds[1]);
        _exit(1);
    }
    (void)close(fds[1]);
    w->acknowledged = 0;
    while (w->acknowledged < after && read(fds[0], &byte, 1) == 1) {
        w->acknowledged++;
    }
    assert_int_equal(w->acknowledged, after);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(fds[0], &byte, 1) == 1) {
        w->acknowledged++;
    }
    (void)close(fds[0]);
    image_take(&image, w->folder);
    expect(w, &image, true);
    image_free(&image);
}

static void test_killed(void **state)
{
    (void)state;
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    uint64_t seed = 11;
    world_make(w, 8);
    box_pace = BOX_AT_ONCE;
    assert_true(play(w, 4 * BATCHES));
    for (int i = 0; i < 40; i++) {
        kill_one(w, 1 + unit_below(&seed, 4 * BATCHES));
    }
    world_free(w);
    free(w);
}

/* What the thread sanitizer can see something in; the other tests have one thread, and take minutes then. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define THREADS_ONLY 1
#endif
#endif
#ifndef THREADS_ONLY
#define THREADS_ONLY 0
#endif

int main(void)
{
    const struct CMUnitTest of_threads[] = {cmocka_unit_test(test_killed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end),
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_a_failed_sync_is_remembered),
        cmocka_unit_test(test_each_call_fails_to_open),
        cmocka_unit_test(test_killed_then_lost),
        cmocka_unit_test(test_killed),
    };
    return THREADS_ONLY ? cmocka_run_group_tests(of_threads, NULL, NULL)
                        : cmocka_run_group_tests(tests, NULL, NULL);
}
