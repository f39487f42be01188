/* SPDX-License-Identifier: Apache-2.0 */
#include "api/probe.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/clock.h"
#include "local/ask.h"

enum { ANSWER_SIZE = 64, LOOK_MS = 20, WHY_MAX = 160, NUDGE_MS = 500 };

/* From the worst to the best: of a host's addresses the best counts. */
enum outcome { REFUSED, SILENT, MUTE, ENDS, FOREIGN, IDLE, OLD, SERVES };

struct probe {
    struct zks__ask ask;
    const struct zks__server *server;
    char answer[ANSWER_SIZE];
};

struct found {
    const struct zks__server *server;
    enum outcome outcome;
    char why[WHY_MAX];
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char version_is[] = "Zookeeper version: ";

/* ZooKeeper 3.4 has neither containers nor a create that tells the czxid. */
static bool is_old(const struct probe *p)
{
    unsigned major = 0;
    unsigned minor = 0;
    return begins(p->answer, version_is) &&
           sscanf(p->answer + strlen(version_is), "%u.%u", &major, &minor) == 2 &&
           (major < 3 || (major == 3 && minor < 5));
}

static enum outcome outcome_of(const struct probe *p)
{
    switch (p->ask.state) {
    case ZKS__ASK_CONNECTING:
        return SILENT;
    case ZKS__ASK_FAILED:
        return REFUSED;
    case ZKS__ASK_ASKED:
    case ZKS__ASK_ENDED:
        break;
    }
    if (p->ask.len == 0) {
        return p->ask.state == ZKS__ASK_ENDED ? ENDS : MUTE;
    }
    /* The other answers are of a server that does not tell srvr to everybody. */
    return begins(p->answer, "This ZooKeeper instance is not")                           ? IDLE
           : is_old(p)                                                                   ? OLD
           : begins(p->answer, "Zookeeper version") || begins(p->answer, "srvr is not ") ? SERVES
                                                                                         : FOREIGN;
}

static void explain(struct found *f, const struct probe *p, int64_t tried_ms)
{
    const char *unit = tried_ms < 1000 ? "ms" : "s";
    double time = tried_ms < 1000 ? (double)tried_ms : (double)tried_ms / 1000;
    const char *at;
    f->outcome = outcome_of(p);
    switch (f->outcome) {
    case REFUSED:
        (void)snprintf(f->why, sizeof f->why, "%s", strerror(p->ask.error));
        break;
    case SILENT:
        (void)snprintf(f->why, sizeof f->why, "no answer within %.3g %s", time, unit);
        break;
    case MUTE:
        (void)snprintf(f->why, sizeof f->why,
                       "accepts the connection, but does not answer within %.3g %s", time, unit);
        break;
    case ENDS:
        (void)snprintf(f->why, sizeof f->why, "closes the connection without an answer");
        break;
    case FOREIGN:
        (void)snprintf(f->why, sizeof f->why, "answers, but not as a ZooKeeper server");
        break;
    case IDLE:
        (void)snprintf(f->why, sizeof f->why, "a ZooKeeper server without a quorum");
        break;
    case OLD:
        at = p->answer + strlen(version_is);
        (void)snprintf(f->why, sizeof f->why, "ZooKeeper %.*s, older than 3.5",
                       (int)strspn(at, "0123456789."), at);
        break;
    case SERVES:
        (void)snprintf(f->why, sizeof f->why, "serves, but began no session within %.3g %s", time,
                       unit);
        break;
    }
}

static void explain_unknown(struct found *f)
{
    bool none = f->server->unknown == EAI_NONAME || f->server->unknown == EAI_NODATA;
    f->outcome = REFUSED;
    (void)snprintf(f->why, sizeof f->why, "%s (%s)",
                   none ? "unknown host" : "the host name cannot be resolved",
                   gai_strerror(f->server->unknown));
}

/* A server that speaks in lines answers once it has had one; ZooKeeper's never needs that. */
static void nudge(struct probe *p)
{
    if (p->ask.state == ZKS__ASK_ASKED && p->ask.len == 0) {
        (void)send(p->ask.fd, "\r\n\r\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static bool is_settled(const struct probe *p)
{
    size_t name = strlen(version_is);
    size_t most = begins(p->answer, version_is) ? name + strlen("3.4.14-") : name;
    return zks__ask_events(&p->ask) == 0 || p->ask.len >= most;
}

/* Polls for a moment; whether anything is still awaited. */
static bool turn(struct probe *probes, struct pollfd *polls, size_t n)
{
    bool awaited = false;
    for (size_t i = 0; i < n; i++) {
        polls[i].fd = is_settled(&probes[i]) ? -1 : probes[i].ask.fd;
        polls[i].events = zks__ask_events(&probes[i].ask);
        awaited |= polls[i].fd >= 0;
    }
    if (awaited && poll(polls, n, LOOK_MS) > 0) {
        for (size_t i = 0; i < n; i++) {
            if (polls[i].fd >= 0 && polls[i].revents != 0) {
                zks__ask_step(&probes[i].ask);
            }
        }
    }
    return awaited;
}

static void run(struct probe *probes, struct pollfd *polls, size_t n, uint64_t until_ms,
                bool (*stop)(void *arg), void *arg)
{
    uint64_t begin = zks__now_ms();
    uint64_t half = until_ms > begin ? (until_ms - begin) / 2 : 0;
    uint64_t nudge_at = begin + (half < NUDGE_MS ? half : NUDGE_MS);
    bool nudged = false;
    bool stopped = false;
    while (!stopped && turn(probes, polls, n) && zks__now_ms() < until_ms) {
        stopped = stop != NULL && stop(arg);
        for (size_t i = 0; !nudged && zks__now_ms() >= nudge_at && i < n; i++) {
            nudge(&probes[i]);
            nudged = i + 1 == n;
        }
    }
}

/* "zk1:2181, zk2:2181: Connection refused; zk3:2181: ...": servers with the same fate together. */
static void compose(struct found *found, size_t n, char text[ZKS__ERROR_MAX])
{
    FILE *to = fmemopen(text, ZKS__ERROR_MAX, "w");
    text[0] = text[ZKS__ERROR_MAX - 1] = '\0';
    for (size_t i = 0; to != NULL && i < n; i++) {
        if (found[i].server == NULL) {
            continue;
        }
        fprintf(to, "%s%s", ftell(to) > 0 ? "; " : "", found[i].server->name);
        for (size_t k = i + 1; k < n; k++) {
            if (found[k].server != NULL && strcmp(found[k].why, found[i].why) == 0) {
                fprintf(to, ", %s", found[k].server->name);
                found[k].server = NULL;
            }
        }
        fprintf(to, ": %s", found[i].why);
    }
    if (to != NULL) {
        (void)fclose(to);
    }
    text[ZKS__ERROR_MAX - 1] = '\0';
}

static size_t count_addresses(const struct zks__servers *servers)
{
    size_t n = 0;
    for (size_t i = 0; i < servers->n; i++) {
        n += servers->entries[i].n_addresses;
    }
    return n;
}

static void begin_all(struct probe *probes, const struct zks__servers *servers)
{
    for (size_t i = 0; i < servers->n; i++) {
        const struct zks__server *server = &servers->entries[i];
        for (struct addrinfo *at = server->addresses; at != NULL; at = at->ai_next) {
            probes->server = server;
            zks__ask_begin(&probes->ask, at->ai_addr, at->ai_addrlen, "srvr", probes->answer,
                           sizeof probes->answer);
            probes++;
        }
    }
}

/* Takes the best of each server's addresses; returns how many servers serve.  Where one is too old, that is
 * what is wrong, and those that serve are not named. */
static size_t judge(struct found *found, const struct probe *probes, size_t n_probes,
                    const struct zks__servers *servers, int64_t tried_ms)
{
    size_t serving = 0;
    size_t old = 0;
    for (size_t i = 0; i < servers->n; i++) {
        const struct probe *best = NULL;
        found[i].server = &servers->entries[i];
        for (size_t k = 0; k < n_probes; k++) {
            bool ours = probes[k].server == found[i].server;
            best = ours && (best == NULL || outcome_of(&probes[k]) > outcome_of(best)) ? &probes[k]
                                                                                       : best;
        }
        if (best != NULL) {
            explain(&found[i], best, tried_ms);
        } else {
            explain_unknown(&found[i]);
        }
        serving += found[i].outcome == SERVES;
        old += found[i].outcome == OLD;
    }
    for (size_t i = 0; old > 0 && i < servers->n; i++) {
        found[i].server = found[i].outcome == SERVES ? NULL : found[i].server;
    }
    return serving;
}

size_t zks__probe(const struct zks__servers *servers, uint64_t until_ms, int64_t tried_ms,
                  bool (*stop)(void *arg), void *arg, char text[ZKS__ERROR_MAX])
{
    size_t n = count_addresses(servers);
    struct probe *probes = calloc(n + 1, sizeof *probes);
    struct pollfd *polls = calloc(n + 1, sizeof *polls);
    struct found *found = calloc(servers->n, sizeof *found);
    size_t serving = 0;
    text[0] = '\0';
    if (probes != NULL && polls != NULL && found != NULL) {
        begin_all(probes, servers);
        run(probes, polls, n, until_ms, stop, arg);
        serving = judge(found, probes, n, servers, tried_ms);
        compose(found, servers->n, text);
        for (size_t i = 0; i < n; i++) {
            zks__ask_close(&probes[i].ask);
        }
    }
    free(probes);
    free(polls);
    free(found);
    return serving;
}
