/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/last_error.h"
#include "local/clock.h"
#include "local/lockfile.h"
#include "local/spawn.h"

enum {
    ANSWER_MS = 5000, /* For a server of this machine to say that it serves. */
    AGAIN_MS = 10
};

/* What a claim is of. */
struct claim {
    struct zks_local_claim shown;
    struct zks__place place;
    int fd;
    char listen[32];
    char secret[ZKS__SECRET_SIZE];
    zks__place_path folder;
    zks__place_path log;
};

/* ---- Finding it ---- */

static int no_answer(const struct zks__place *p, const struct zks__server_record *r)
{
    char host[72];
    zks__local_host(host);
    if (strcmp(host, r->host) != 0) {
        zks__place_say(
            p, ZKS_LOG_ERROR,
            "zksync: the local server of %s is on another host, %s, which shares this "
            "folder: set XDG_STATE_HOME to a folder of this host's, or name servers with "
            "ZKSYNC_SERVERS",
            p->folder, r->host);
    } else {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: the local server at %s, process %lld, does not answer", r->address,
                       (long long)r->pid);
    }
    return ZKS_EDISCONNECTED;
}

/* Once: 0, an error of zks_local_find's, or ZKS_EBUSY where it is to be looked again. */
static int look(const struct zks__place *p, int64_t until_ms, struct zks_local *local)
{
    struct zks__server_record r;
    char host[72];
    char answer[8];
    char secret[ZKS__SECRET_SIZE] = "";
    int rc = zks__place_check(p);
    if (rc != 0) {
        return rc;
    }
    enum zks__lockfile_state state = zks__lockfile_read(p, &r);
    if (state != ZKS__LOCKFILE_SETTLED) {
        return state == ZKS__LOCKFILE_NONE ? ZKS_ENOENT : ZKS_EBUSY;
    }
    zks__local_host(host);
    if (strcmp(host, r.host) != 0) {
        return no_answer(p, &r);
    }
    rc = r.open ? 0 : zks__place_secret(p, false, secret);
    if (rc == ZKS_ENOENT) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %s/secret has gone, but the local server still wants it: end that, "
                       "with `zksync serve --stop`",
                       p->folder);
        return ZKS_ESYSTEM;
    }
    if (rc != 0) {
        return rc;
    }
    int left = zks__local_left(until_ms);
    rc = zks_local_ask(r.address, "ruok", left < ANSWER_MS && left > 0 ? left : ANSWER_MS, answer,
                       sizeof answer);
    if (rc == ZKS_EDISCONNECTED || (rc == 0 && strcmp(answer, "imok") != 0)) {
        return ZKS_EBUSY; /* It has closed its door, and ends. */
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

static void nap(void)
{
    const struct timespec while_ms = {.tv_nsec = AGAIN_MS * 1000000L};
    (void)nanosleep(&while_ms, NULL);
}

static int too_long(const struct zks__place *p)
{
    struct zks__server_record r;
    if (zks__lockfile_read(p, &r) == ZKS__LOCKFILE_SETTLED) {
        return no_answer(p, &r);
    }
    zks__place_say(p, ZKS_LOG_ERROR,
                   "zksync: a local server is being started or ended, which takes too long; see "
                   "%s/server.log",
                   p->folder);
    return ZKS_EDISCONNECTED;
}

int64_t zks_local_pid(void)
{
    struct zks__place place;
    struct zks__server_record r;
    char host[72];
    zks__local_host(host);
    bool known = zks__place_init(&place, NULL, NULL) == 0 && zks__place_check(&place) == 0 &&
                 zks__lockfile_read(&place, &r) == ZKS__LOCKFILE_SETTLED;
    return known && strcmp(host, r.host) == 0 ? r.pid : 0;
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

/* One of many comes so far at a time; the others look until there is a server.  Whoever starts one by
 * hand meanwhile may be faster, and that is as good. */
static int start(const struct zks__place *p, int64_t until_ms, struct zks_local *local)
{
    char secret[ZKS__SECRET_SIZE];
    char why[ZKS__WHY_MAX];
    int rc = look(p, until_ms, local);
    if (rc != ZKS_ENOENT) {
        return rc;
    }
    rc = zks__place_secret(p, false, secret); /* Better said here than in a log. */
    explicit_bzero(secret, sizeof secret);
    if (rc != 0 && rc != ZKS_ENOENT) {
        return rc;
    }
    int spawned = zks__spawn(until_ms, why);
    rc = look(p, until_ms, local);
    if (rc == 0) {
        local->started = spawned == 0;
    } else if (rc == ZKS_ENOENT && spawned != 0) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: the local server cannot be started: %s", why);
        rc = ZKS_EDISCONNECTED;
    } else if (rc == ZKS_ENOENT) {
        rc = ZKS_EBUSY; /* It was there, and has gone. */
    }
    return rc;
}

static int start_alone(const struct zks__place *p, int64_t until_ms, struct zks_local *local)
{
    int rc = zks__place_make(p);
    if (rc != 0) {
        return rc;
    }
    int fd = zks__place_open(p, "start.lock", O_RDWR | O_CREAT);
    if (fd < 0) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s/start.lock: %s", p->folder, strerror(errno));
        return ZKS_ESYSTEM;
    }
    rc = zks__lockfile_try(fd, 0) ? start(p, until_ms, local)
         : errno == EAGAIN        ? ZKS_EBUSY
                                  : ZKS_ESYSTEM;
    (void)close(fd);
    return rc;
}

/* Looks again and again for as long as there is a server that is being started or ended. */
static int look_until(const struct zks__place *p, bool starts, int64_t until_ms,
                      struct zks_local *local)
{
    for (;;) {
        int rc = look(p, until_ms, local);
        if (rc == ZKS_ENOENT && starts) {
            rc = start_alone(p, until_ms, local);
        }
        if (rc != ZKS_EBUSY) {
            return rc;
        }
        if (zks__local_now_ms() >= until_ms) {
            return too_long(p);
        }
        nap();
    }
}

static int find_or_start(bool starts, int64_t timeout_ms, zks_log_cb log, void *log_arg,
                         struct zks_local *local)
{
    struct zks__place place;
    int64_t until_ms = zks__local_until(timeout_ms);
    if (local == NULL || timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    int rc = zks__place_init(&place, log, log_arg);
    return rc == 0 ? look_until(&place, starts, until_ms, local) : rc;
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

static int claim_failed(const struct zks__place *p, int error)
{
    struct zks__server_record r;
    if (error != EAGAIN) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s/server.lock: %s", p->folder, strerror(error));
        return ZKS_ESYSTEM;
    }
    if (zks__lockfile_read(p, &r) == ZKS__LOCKFILE_SETTLED) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: a local server runs already, at %s, process %lld",
                       r.address, (long long)r.pid);
    } else {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: a local server is being started or ended already");
    }
    return ZKS_EEXIST;
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
    c->fd = zks__lockfile_claim(&c->place);
    if (c->fd < 0) {
        return claim_failed(&c->place, errno);
    }
    read_port(c);
    (void)zks__place_file(&c->place, "data", c->folder);
    (void)zks__place_file(&c->place, "server.log", c->log);
    c->shown = (struct zks_local_claim){c->listen, c->folder, c->secret, c->log};
    /* Nobody else can make it: the claim is ours. */
    return zks__place_secret(&c->place, true, c->secret);
}

int zks_local_claim(zks_log_cb log, void *log_arg, struct zks_local_claim **claim)
{
    zks__error_begin();
    struct claim *c = claim != NULL ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        return zks__error_end(claim == NULL ? ZKS_EINVAL : ZKS_ENOMEM);
    }
    c->fd = -1;
    int rc = zks__place_init(&c->place, log, log_arg);
    rc = rc == 0 ? fill_claim(c) : rc;
    if (rc != 0) {
        zks_local_release(&c->shown);
        return zks__error_end(rc);
    }
    *claim = &c->shown;
    return 0;
}

int zks_local_publish(struct zks_local_claim *claim, const char *address, bool open)
{
    zks__error_begin();
    struct claim *c = (struct claim *)(void *)claim;
    struct zks__server_record r = {.pid = getpid(), .open = open};
    const char *port = strrchr(address, ':');
    zks__local_host(r.host);
    (void)snprintf(r.address, sizeof r.address, "%s", address);
    if (port == NULL || zks__place_write(&c->place, "port", port + 1) != 0 ||
        zks__lockfile_publish(c->fd, &r) != 0) {
        zks__place_say(&c->place, ZKS_LOG_ERROR, "zksync: %s/server.lock cannot be written: %s",
                       c->place.folder, strerror(errno));
        return ZKS_ESYSTEM;
    }
    return 0;
}

void zks_local_release(struct zks_local_claim *claim)
{
    struct claim *c = (struct claim *)(void *)claim;
    if (c == NULL) {
        return;
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    explicit_bzero(c->secret, sizeof c->secret);
    free(c);
}
