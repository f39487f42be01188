/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/local.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/last_error.h"
#include "local/alive.h"
#include "local/ask.h"
#include "local/local.h"
#include "local/lockfile.h"
#include "local/secret.h"
#include "local/spawn.h"

enum {
    ANSWER_MS = 5000, /* For a server of this machine to say that it serves. */
    AGAIN_MS = 10,    /* From one look to the next, doubled each time ... */
    SELDOM_MS = 200,  /* ... up to this. */
    WHERE_MAX = 256,
    NAMED = 200 /* Of a path, in each of the server's sentences. */
};

/* What a claim is of. */
struct claim {
    struct zks_local_claim shown;
    struct zks__place place;
    struct zks__claim claimed;
    pthread_mutex_t lock; /* Of the record, which zks_local_lease() changes on any thread. */
    struct zks__server_record record;
    bool published;
    bool unwritten; /* The record next to the folder is out of date. */
    char listen[32];
    char secret[ZKS__SECRET_SIZE];
    zks__place_path folder;
    zks__place_path log;
};

/* ---- Finding it ---- */

/* As the end of a sentence that begins with the server. */
static const char *where(const struct zks__server_record *r, char text[WHERE_MAX])
{
    struct zks__host here;
    zks__host_get(&here);
    if (!zks__host_same(&here, &r->host)) {
        (void)snprintf(text, WHERE_MAX, "on another host, %s", r->host.name);
    } else if (!zks__host_same_net(&here, &r->host)) {
        (void)snprintf(text, WHERE_MAX, "in another container (network namespace) of this host, %s",
                       r->host.name);
    } else if (!zks__host_same_pids(&here, &r->host)) {
        (void)snprintf(text, WHERE_MAX,
                       "at %s, in another container (PID namespace) of this host, %s", r->address,
                       r->host.name);
    } else {
        (void)snprintf(text, WHERE_MAX, "at %s, process %lld", r->address, (long long)r->pid);
    }
    return text;
}

static int no_answer(const struct zks__place *p, const struct zks__server_record *r)
{
    char text[WHERE_MAX];
    zks__place_say(p, ZKS_LOG_ERROR, "zksync: the local server of %s, %s, does not answer",
                   p->folder, where(r, text));
    return ZKS_EDISCONNECTED;
}

/* The folder is shared, but 127.0.0.1 is not. */
static int out_of_reach(const struct zks__place *p, const struct zks__server_record *r)
{
    char text[WHERE_MAX];
    zks__place_say(p, ZKS_LOG_ERROR,
                   "zksync: the local server of %s runs %s: set XDG_STATE_HOME to a folder that is "
                   "not shared, or name servers with ZKSYNC_SERVERS",
                   p->folder, where(r, text));
    return ZKS_EDISCONNECTED;
}

/* Whether a server of this folder still runs whose record has gone with the folder, and that record. */
static bool is_away(const struct zks__place *p, struct zks__server_record *r)
{
    return zks__lockfile_read(p, r) == ZKS__NONE && zks__lockfile_read_beside(p, r) == 0;
}

/* 0 and the record of the server that runs, ZKS__NONE, ZKS__UNSETTLED or an error.  A server whose folder is not where
 * it was ends. */
static int read_record(const struct zks__place *p, struct zks__server_record *r)
{
    int rc = zks__place_check(p);
    rc = rc == 0 ? zks__lockfile_read(p, r) : rc;
    return rc == ZKS__NONE && zks__lockfile_read_beside(p, r) != ZKS__NONE ? ZKS__UNSETTLED : rc;
}

static int read_secret(const struct zks__place *p, char secret[ZKS__SECRET_SIZE])
{
    int rc = zks__secret_read(p, secret);
    if (rc == ZKS__NONE) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %s/secret has gone, but the local server still wants it: end that, "
                       "with `zksync serve --stop`",
                       p->folder);
        return ZKS_ESYSTEM;
    }
    return rc;
}

/* Once: 0, ZKS__NONE, ZKS__UNSETTLED or an error. */
static int look(const struct zks__place *p, const struct zks__limit *limit, struct zks_local *local)
{
    struct zks__server_record r;
    struct zks__host here;
    char answer[8];
    char secret[ZKS__SECRET_SIZE] = "";
    int rc = read_record(p, &r);
    if (rc != 0) {
        return rc;
    }
    zks__host_get(&here);
    if (!zks__host_same_net(&here, &r.host)) {
        return out_of_reach(p, &r);
    }
    rc = r.open ? 0 : read_secret(p, secret);
    if (rc != 0) {
        return rc;
    }
    int left_ms = zks__limit_left(limit);
    struct zks__limit soon =
        zks__limit_of(left_ms < ANSWER_MS && left_ms > 0 ? left_ms : ANSWER_MS, limit->cancel_fd);
    rc = zks__ask(r.address, "ruok", &soon, answer, sizeof answer);
    if (rc == ZKS_EDISCONNECTED || (rc == 0 && strcmp(answer, "imok") != 0)) {
        return ZKS__UNSETTLED; /* It has closed its door, and ends. */
    }
    if (rc != 0) {
        return no_answer(p, &r);
    }
    memset(local, 0, sizeof *local);
    memcpy(local->address, r.address, sizeof local->address);
    memcpy(local->secret, secret, sizeof secret);
    local->pid = r.pid;
    return 0;
}

/* The rest of the longest lease of the last server's clients, in ms. */
static int64_t lease_left(const struct zks__server_record *former)
{
    struct zks__host here;
    int64_t now_ms = (int64_t)zks_clock_ms();
    zks__host_get(&here);
    if (former->until_ms == 0 || !zks__host_same(&here, &former->host) ||
        former->until_ms - now_ms > former->lease_ms) {
        return former->lease_ms; /* It was killed, or the time is from another host's clock. */
    }
    return former->until_ms > now_ms ? former->until_ms - now_ms : 0;
}

static int say_away(const struct zks__place *p, const struct zks__server_record *r, int error)
{
    char text[WHERE_MAX];
    zks__place_say(
        p, ZKS_LOG_ERROR,
        "zksync: the local server of %s, %s, ends, since that folder was removed, renamed "
        "or replaced: another server can start when the leases of its clients have "
        "expired",
        p->folder, where(r, text));
    return error;
}

static int too_long(const struct zks__place *p)
{
    struct zks__server_record r;
    int rc = read_record(p, &r);
    if (rc == 0) {
        return no_answer(p, &r);
    }
    if (rc < 0) {
        return rc;
    }
    if (is_away(p, &r)) {
        return say_away(p, &r, ZKS_EDISCONNECTED);
    }
    if (zks__lockfile_read_former(p, &r) && r.until_ms != 0 && lease_left(&r) > 0) {
        zks__place_say(
            p, ZKS_LOG_ERROR,
            "zksync: the local server of %s starts serving in %.3g s: the data folder is "
            "new, and clients of the last server may still hold locks",
            p->folder, (double)lease_left(&r) / 1000);
        return ZKS_EDISCONNECTED;
    }
    zks__place_say(p, ZKS_LOG_ERROR,
                   "zksync: a local server is being started or ended, which takes too long; see "
                   "%s/server.log",
                   p->folder);
    return ZKS_EDISCONNECTED;
}

static int64_t find_pid(zks_log_cb log, void *log_arg)
{
    struct zks__place place;
    struct zks__server_record r;
    struct zks__host here;
    char text[WHERE_MAX];
    int rc = zks__place_init(&place, log, log_arg);
    rc = rc == 0 ? read_record(&place, &r) : rc;
    if (rc != 0) {
        return rc == ZKS__NONE ? 0 : rc == ZKS__UNSETTLED ? ZKS_EBUSY : rc;
    }
    zks__host_get(&here);
    if (!zks__host_same_pids(&here, &r.host)) {
        zks__place_say(&place, ZKS_LOG_ERROR,
                       "zksync: the local server of %s runs %s: its process ID means nothing here; "
                       "end it there",
                       place.folder, where(&r, text));
        return ZKS_EDISCONNECTED;
    }
    return r.pid;
}

int64_t zks_local_pid(zks_log_cb log, void *log_arg)
{
    zks__error_begin();
    int64_t pid = find_pid(log, log_arg);
    (void)zks__error_end(pid < 0 ? (int)pid : 0);
    return pid;
}

int zks_local_folder(char *buf, size_t size)
{
    struct zks__place place;
    zks__error_begin();
    int rc = zks__place_init(&place, NULL, NULL);
    if (rc == 0 && (buf == NULL || strlen(place.folder) >= size)) {
        rc = ZKS_EINVAL;
    }
    if (rc == 0) {
        memcpy(buf, place.folder, strlen(place.folder) + 1);
    }
    return zks__error_end(rc);
}

/* ---- Starting it ---- */

/* Whether a server that has ended could not use its folder or a file in it: it ends with the code for what the
 * system refuses, and its sentence names the path, of which only the beginning may be there.  Where the code is
 * lost the sentence must do. */
static bool is_unusable(const struct zks__place *p, int exit_code, const char *why)
{
    char path[NAMED + 1];
    (void)snprintf(path, sizeof path, "%.*s", NAMED, p->folder);
    return (exit_code == EX_OSERR || exit_code == ZKS__EXIT_LOST) && strstr(why, path) != NULL;
}

static void say_failed(const struct zks__place *p, const char *why)
{
    zks__place_say(p, ZKS_LOG_ERROR, "zksync: the local server cannot be started: %s", why);
}

static void note_failure(const struct zks__starter *s, int claim, int error, const char *why)
{
    char note[ZKS__PROGRAM_SIZE + ZKS__WHY_MAX + 48];
    (void)snprintf(note, sizeof note, "%s failed at %llu with %d: %s", s->program,
                   (unsigned long long)zks_clock_ms(), error, why);
    zks__lockfile_note(claim, note);
}

/* The error of the last start of the same program, if it failed less than `pause_ms` ago, else 0: hundreds of clients
 * can lose one server at the same time. */
static int failed_lately(const struct zks__local_way *w, int claim, int64_t pause_ms)
{
    char note[ZKS__PROGRAM_SIZE + ZKS__WHY_MAX + 48];
    unsigned long long at_ms = 0;
    int error = 0;
    int why = 0;
    size_t len = strlen(w->starter.program);
    zks__lockfile_read_note(claim, note, sizeof note);
    if (strncmp(note, w->starter.program, len) != 0 ||
        sscanf(note + len, " failed at %llu with %d: %n", &at_ms, &error, &why) != 2 || why == 0 ||
        zks_clock_ms() - at_ms >= (uint64_t)pause_ms) {
        return 0;
    }
    say_failed(&w->place, note + len + why);
    return error == ZKS_ESYSTEM ? ZKS_ESYSTEM : ZKS_EDISCONNECTED;
}

/* One of many comes so far at a time; the others look until there is a server.  Whoever starts one by
 * hand meanwhile may be faster, and that is as good. */
static int start(const struct zks__local_way *w, const struct zks__limit *limit, int claim,
                 struct zks_local *local)
{
    const struct zks__place *p = &w->place;
    char secret[ZKS__SECRET_SIZE];
    char why[ZKS__WHY_MAX];
    int rc = look(p, limit, local);
    if (rc != ZKS__NONE) {
        return rc;
    }
    rc = zks__secret_read(p, secret); /* Better said here than in a log. */
    explicit_bzero(secret, sizeof secret);
    if (rc < 0) {
        return rc;
    }
    int exit_code;
    int spawned = zks__spawn(&w->starter, limit, why, &exit_code);
    rc = look(p, limit, local);
    if (rc == 0) {
        local->started = spawned == 0;
    } else if (rc == ZKS__NONE && spawned != 0) {
        say_failed(p, why);
        rc = is_unusable(p, exit_code, why) ? ZKS_ESYSTEM : ZKS_EDISCONNECTED;
        if (zks__limit_left(limit) > 0) { /* Otherwise it only exceeded this caller's limit. */
            note_failure(&w->starter, claim, rc, why);
        }
    } else if (rc == ZKS__NONE) {
        rc = ZKS__UNSETTLED; /* It was there, and has gone. */
    }
    return rc;
}

static int start_alone(const struct zks__local_way *w, const struct zks__limit *limit,
                       int64_t pause_ms, struct zks_local *local)
{
    int fd = -1;
    int rc = zks__place_make(&w->place);
    rc = rc == 0 ? zks__lockfile_start(&w->place, &fd) : rc;
    if (rc != 0) {
        return rc == ZKS_EBUSY ? ZKS__UNSETTLED : rc;
    }
    rc = failed_lately(w, fd, pause_ms);
    rc = rc == 0 ? start(w, limit, fd, local) : rc;
    zks__lockfile_started(fd);
    return rc;
}

/* Looks again and again for as long as there is a server that is being started or ended. */
static int look_until(const struct zks__local_way *w, bool starts, int64_t pause_ms,
                      const struct zks__limit *limit, struct zks_local *local)
{
    int again_ms = AGAIN_MS;
    for (;;) {
        int rc = look(&w->place, limit, local);
        if (rc == ZKS__NONE && starts) {
            rc = start_alone(w, limit, pause_ms, local);
        }
        if (rc != ZKS__UNSETTLED) {
            return rc == ZKS__NONE ? ZKS_ENOENT : rc;
        }
        if (zks__limit_left(limit) == 0) {
            return too_long(&w->place);
        }
        (void)zks__limit_poll(limit, -1, 0, again_ms);
        again_ms = again_ms < SELDOM_MS / 2 ? 2 * again_ms : SELDOM_MS;
    }
}

int zks__local_way_init(struct zks__local_way *w, zks_log_cb log, void *log_arg)
{
    memset(w, 0, sizeof *w);
    int rc = zks__place_init(&w->place, log, log_arg);
    return rc == 0 ? zks__starter_init(&w->starter) : rc;
}

void zks__local_way_close(struct zks__local_way *w)
{
    zks__starter_close(&w->starter);
}

int zks__local_start(const struct zks__local_way *w, int64_t pause_ms,
                     const struct zks__limit *limit, struct zks_local *local)
{
    return look_until(w, true, pause_ms, limit, local);
}

static int find_or_start(bool starts, int64_t timeout_ms, zks_log_cb log, void *log_arg,
                         struct zks_local *local)
{
    struct zks__local_way way;
    struct zks__limit limit = zks__limit_of(timeout_ms, -1);
    if (local == NULL || timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    int rc = zks__local_way_init(&way, log, log_arg);
    rc = rc == 0 ? look_until(&way, starts, 0, &limit, local) : rc;
    zks__local_way_close(&way);
    return rc;
}

int zks_local_find(int64_t timeout_ms, zks_log_cb log, void *log_arg, struct zks_local *local)
{
    zks__error_begin();
    return zks__error_end(find_or_start(false, timeout_ms, log, log_arg, local));
}

int zks_local_start(int64_t timeout_ms, zks_log_cb log, void *log_arg, struct zks_local *local)
{
    zks__error_begin();
    return zks__error_end(find_or_start(true, timeout_ms, log, log_arg, local));
}

/* ---- Being it ---- */

static int is_claimed(const struct zks__place *p)
{
    struct zks__server_record r;
    char text[WHERE_MAX];
    int rc = zks__lockfile_read(p, &r);
    if (is_away(p, &r)) {
        return say_away(p, &r, ZKS_EEXIST);
    }
    if (rc == 0) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: a local server runs already, %s",
                       where(&r, text));
    } else if (rc > 0) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: a local server is being started or ended already");
    }
    return rc < 0 ? rc : ZKS_EEXIST;
}

static void read_port(struct claim *c)
{
    char text[16];
    unsigned port = 0;
    int fd = zks__place_open(&c->place, "port", O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "%5u", &port) != 1 || port > 65535) {
        port = 0;
    }
    (void)snprintf(c->listen, sizeof c->listen, "127.0.0.1:%u", port);
}

static int fill_claim(struct claim *c)
{
    int rc = zks__place_make(&c->place);
    if (rc != 0) {
        return rc;
    }
    rc = zks__lockfile_claim(&c->place, &c->claimed);
    if (rc != 0) {
        return rc == ZKS_EBUSY ? is_claimed(&c->place) : rc;
    }
    if (c->claimed.beside < 0) {
        zks__place_path path;
        zks__place_say(&c->place, ZKS_LOG_WARN,
                       "zksync: %s cannot be created or locked: if this server is killed and %s "
                       "removed, locks that are still held can be granted again",
                       zks__place_beside(&c->place, path), c->place.folder);
    }
    read_port(c);
    (void)zks__place_file(&c->place, "data", c->folder);
    (void)zks__place_file(&c->place, "server.log", c->log);
    c->shown = (struct zks_local_claim){c->listen, c->folder, c->secret, c->log};
    /* Nobody else can make it: the claim is ours. */
    return zks__secret_make(&c->place, c->secret);
}

int zks_local_claim(zks_log_cb log, void *log_arg, struct zks_local_claim **claim)
{
    zks__error_begin();
    struct claim *c = claim != NULL ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        return zks__error_end(claim == NULL ? ZKS_EINVAL : ZKS_ENOMEM);
    }
    c->claimed = (struct zks__claim)ZKS__CLAIM_INIT;
    (void)snprintf(c->record.data, sizeof c->record.data, "-");
    pthread_mutex_init(&c->lock, NULL);
    int rc = zks__place_init(&c->place, log, log_arg);
    rc = rc == 0 ? fill_claim(c) : rc;
    if (rc != 0) {
        zks_local_release(&c->shown);
        return zks__error_end(rc);
    }
    *claim = &c->shown;
    return 0;
}

static int64_t begin_wait(struct claim *c, const char *id, bool is_empty)
{
    struct zks__server_record former;
    bool known = zks__lockfile_read_former(&c->place, &former);
    (void)snprintf(c->record.data, sizeof c->record.data, "%s", id);
    if (!known || (!is_empty && strcmp(former.data, c->record.data) == 0)) {
        return 0;
    }
    int64_t wait_ms = lease_left(&former);
    /* If this process ends during the wait, the next server waits only for the rest of it. */
    former.until_ms = (int64_t)zks_clock_ms() + wait_ms;
    zks__host_get(&former.host);
    (void)zks__lockfile_write_beside(&c->claimed, &former);
    return wait_ms;
}

int64_t zks_local_wait_ms(struct zks_local_claim *claim, const char *id, bool is_empty)
{
    struct claim *c = (struct claim *)(void *)claim;
    pthread_mutex_lock(&c->lock);
    int64_t wait_ms = begin_wait(c, id, is_empty);
    pthread_mutex_unlock(&c->lock);
    return wait_ms;
}

static void write_beside(struct claim *c)
{
    c->unwritten = !zks__lockfile_write_beside(&c->claimed, &c->record);
}

static int publish(struct claim *c, const char *address, bool open)
{
    struct zks__server_record *r = &c->record;
    const char *port = strrchr(address, ':');
    r->pid = getpid();
    r->open = open;
    zks__host_get(&r->host);
    (void)snprintf(r->address, sizeof r->address, "%s", address);
    /* On a full disk it need not be written again. */
    bool known = port != NULL && strcmp(strrchr(c->listen, ':'), port) == 0;
    if (port == NULL || (!known && zks__place_write(&c->place, "port", port + 1) != 0)) {
        return ZKS_ESYSTEM;
    }
    write_beside(c);
    int rc = zks__lockfile_publish(&c->place, &c->claimed, r);
    c->published = rc == 0;
    return rc;
}

int zks_local_publish(struct zks_local_claim *claim, const char *address, bool open)
{
    struct claim *c = (struct claim *)(void *)claim;
    zks__error_begin();
    pthread_mutex_lock(&c->lock);
    int rc = publish(c, address, open);
    pthread_mutex_unlock(&c->lock);
    return zks__error_end(rc);
}

static void set_lease(struct zks_local_claim *claim, int64_t lease_ms, int64_t until_ms)
{
    struct claim *c = (struct claim *)(void *)claim;
    pthread_mutex_lock(&c->lock);
    c->record.lease_ms = lease_ms;
    c->record.until_ms = until_ms;
    if (c->published) {
        write_beside(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void zks_local_lease(struct zks_local_claim *claim, int64_t longest_ms)
{
    set_lease(claim, longest_ms, 0);
}

void zks_local_stopped(struct zks_local_claim *claim, int64_t lease_ms)
{
    set_lease(claim, lease_ms, (int64_t)zks_clock_ms() + lease_ms);
}

int zks_local_claim_check(struct zks_local_claim *claim)
{
    struct claim *c = (struct claim *)(void *)claim;
    pthread_mutex_lock(&c->lock);
    if (c->unwritten) {
        write_beside(c);
    }
    pthread_mutex_unlock(&c->lock);
    zks__alive_answer(c->claimed.alive);
    return zks__lockfile_is_ours(&c->place, &c->claimed) ? 0 : zks__error(ZKS_ENOENT);
}

void zks_local_release(struct zks_local_claim *claim)
{
    struct claim *c = (struct claim *)(void *)claim;
    if (c == NULL) {
        return;
    }
    zks__lockfile_release(&c->claimed);
    pthread_mutex_destroy(&c->lock);
    explicit_bzero(c->secret, sizeof c->secret);
    free(c);
}
