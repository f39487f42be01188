#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "framerules.h"

#include "frameproxy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LENGTH_SIZE = 4, REQUEST_HEADER = 8, REPLY_HEADER = 16, LOWEST_OPCODE = -16, OPCODES = 160 };
/* The handshake's; libzookeeper numbers its requests from the time of day on, or from -1 down. */
enum { NO_XID = 0 };

struct rule {
    struct rule *next;
    bool on_request;
    int32_t opcode;
    char *path_substring;
    int remaining;
    /* The connection and the number of the request whose reply is awaited. */
    const void *connection;
    int32_t xid;
};

struct framerules {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct rule *first;
    unsigned hits;
    unsigned counts[OPCODES];
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static int32_t read_int(const unsigned char *data)
{
    return (int32_t)((uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 |
                     (uint32_t)data[3]);
}

struct framerules *framerules_new(void)
{
    struct framerules *rules = must(calloc(1, sizeof *rules));
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&rules->mutex, NULL);
    (void)pthread_cond_init(&rules->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return rules;
}

static void remove_rule(struct framerules *rules, struct rule *rule)
{
    for (struct rule **link = &rules->first; *link != NULL; link = &(*link)->next) {
        if (*link == rule) {
            *link = rule->next;
            break;
        }
    }
    free(rule->path_substring);
    free(rule);
}

void framerules_free(struct framerules *rules)
{
    while (rules->first != NULL) {
        remove_rule(rules, rules->first);
    }
    (void)pthread_cond_destroy(&rules->changed);
    (void)pthread_mutex_destroy(&rules->mutex);
    free(rules);
}

static void fire(struct framerules *rules, struct rule *rule)
{
    remove_rule(rules, rule);
    rules->hits++;
    (void)pthread_cond_broadcast(&rules->changed);
}

/* The payload is what follows the frame's length. */
static bool path_matches(const struct rule *rule, int32_t opcode, const unsigned char *payload,
                         size_t size)
{
    size_t wanted = strlen(rule->path_substring);
    if (wanted == 0 || opcode == FRAME_CONNECT) {
        return wanted == 0;
    }
    const unsigned char *body = payload + REQUEST_HEADER;
    size_t length = size - REQUEST_HEADER;
    /* These hold several paths, at places that depend on what they are combined with. */
    if (opcode != FRAME_MULTI && opcode != FRAME_SET_WATCHES) {
        if (length < LENGTH_SIZE) {
            return false;
        }
        int32_t path_length = read_int(body);
        if (path_length < 0 || (size_t)path_length > length - LENGTH_SIZE) {
            return false;
        }
        body += LENGTH_SIZE;
        length = (size_t)path_length;
    }
    return memmem(body, length, rule->path_substring, wanted) != NULL;
}

static bool ask(struct framerules *rules, const void *connection, int32_t xid, int32_t opcode,
                const unsigned char *payload, size_t size)
{
    bool forward = true;
    (void)pthread_mutex_lock(&rules->mutex);
    if (opcode >= LOWEST_OPCODE && opcode < LOWEST_OPCODE + OPCODES) {
        rules->counts[opcode - LOWEST_OPCODE]++;
    }
    struct rule *next = NULL;
    for (struct rule *rule = rules->first; rule != NULL; rule = next) {
        next = rule->next;
        if (rule->connection != NULL || rule->opcode != opcode ||
            !path_matches(rule, opcode, payload, size) || --rule->remaining > 0) {
            continue;
        }
        if (rule->on_request) {
            fire(rules, rule);
            forward = false;
        } else {
            rule->connection = connection;
            rule->xid = xid;
        }
    }
    (void)pthread_mutex_unlock(&rules->mutex);
    return forward;
}

static bool answer(struct framerules *rules, const void *connection, int32_t xid)
{
    bool forward = true;
    (void)pthread_mutex_lock(&rules->mutex);
    struct rule *next = NULL;
    for (struct rule *rule = rules->first; rule != NULL; rule = next) {
        next = rule->next;
        if (rule->connection == connection && rule->xid == xid) {
            fire(rules, rule);
            forward = false;
        }
    }
    (void)pthread_mutex_unlock(&rules->mutex);
    return forward;
}

bool framerules_request(struct framerules *rules, const void *connection,
                        const unsigned char *payload, size_t size)
{
    return size < REQUEST_HEADER ||
           ask(rules, connection, read_int(payload), read_int(payload + 4), payload, size);
}

bool framerules_reply(struct framerules *rules, const void *connection,
                      const unsigned char *payload, size_t size)
{
    return size < REPLY_HEADER || answer(rules, connection, read_int(payload));
}

bool framerules_connect(struct framerules *rules, const void *connection)
{
    return ask(rules, connection, NO_XID, FRAME_CONNECT, NULL, 0);
}

bool framerules_connected(struct framerules *rules, const void *connection)
{
    return answer(rules, connection, NO_XID);
}

void framerules_forget(struct framerules *rules, const void *connection)
{
    (void)pthread_mutex_lock(&rules->mutex);
    for (struct rule *rule = rules->first; rule != NULL; rule = rule->next) {
        if (rule->connection == connection) {
            rule->connection = NULL;
            rule->remaining = 1;
        }
    }
    (void)pthread_mutex_unlock(&rules->mutex);
}

void framerules_arm(struct framerules *rules, bool on_request, int32_t opcode,
                    const char *path_substring, int nth)
{
    struct rule *rule = must(calloc(1, sizeof *rule));
    rule->on_request = on_request;
    rule->opcode = opcode;
    rule->path_substring = must(strdup(path_substring != NULL ? path_substring : ""));
    rule->remaining = nth;
    (void)pthread_mutex_lock(&rules->mutex);
    rule->next = rules->first;
    rules->first = rule;
    (void)pthread_mutex_unlock(&rules->mutex);
}

void framerules_disarm(struct framerules *rules)
{
    (void)pthread_mutex_lock(&rules->mutex);
    while (rules->first != NULL) {
        remove_rule(rules, rules->first);
    }
    (void)pthread_mutex_unlock(&rules->mutex);
}

unsigned framerules_hits(struct framerules *rules)
{
    (void)pthread_mutex_lock(&rules->mutex);
    unsigned hits = rules->hits;
    (void)pthread_mutex_unlock(&rules->mutex);
    return hits;
}

bool framerules_await(struct framerules *rules, int timeout_ms)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_MONOTONIC, &limit);
    long nanoseconds = limit.tv_nsec + (long)(timeout_ms % 1000) * 1000000L;
    limit.tv_sec += timeout_ms / 1000 + nanoseconds / 1000000000L;
    limit.tv_nsec = nanoseconds % 1000000000L;
    (void)pthread_mutex_lock(&rules->mutex);
    while (rules->first != NULL) {
        if (pthread_cond_timedwait(&rules->changed, &rules->mutex, &limit) != 0) {
            break;
        }
    }
    bool fired = rules->first == NULL;
    (void)pthread_mutex_unlock(&rules->mutex);
    return fired;
}

unsigned framerules_count(struct framerules *rules, int32_t opcode)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&rules->mutex);
    if (opcode >= LOWEST_OPCODE && opcode < LOWEST_OPCODE + OPCODES) {
        count = rules->counts[opcode - LOWEST_OPCODE];
    }
    (void)pthread_mutex_unlock(&rules->mutex);
    return count;
}
