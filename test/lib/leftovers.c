#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "leftovers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ensemble.h"
#include "rawzk.h"
#include "word.h"

enum { PAUSE_MS = 20 };

static struct leftovers counted(void)
{
    char *mntr = word_ask(ens_direct_server(0), "mntr");
    struct leftovers l = {.watches = word_figure(mntr, "zk_watch_count\t"),
                          .ephemerals = word_figure(mntr, "zk_ephemerals_count\t"),
                          .sessions = word_figure(mntr, "zk_global_sessions\t")};
    free(mntr);
    return l;
}

void leftovers_begin(struct leftovers *l, const char *path, struct rawzk *raw)
{
    memset(l, 0, sizeof *l);
    if (ens_is_local()) {
        *l = counted();
    }
    l->path = path;
    l->raw = raw;
}

static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Calls `found` for each line of a path of ours. In `wchp` such a line is followed by one with each session
 * that watches it; in `dump` it is preceded by the line of its session. */
static void each_line(char *text, void (*line)(void *arg, const char *line), void *arg)
{
    char *rest = NULL;
    for (char *at = strtok_r(text, "\n", &rest); at != NULL; at = strtok_r(NULL, "\n", &rest)) {
        line(arg, at);
    }
}

struct search {
    const struct leftovers *of;
    const char *connected; /* The answers to `cons` of all servers. */
    char path[512];
    char session[32];
    FILE *to;
    size_t found;
};

static void watch_line(void *arg, const char *line)
{
    struct search *s = arg;
    if (line[0] == '/') {
        (void)snprintf(s->path, sizeof s->path, "%s", line);
    } else if (line[0] == '\t' && s->path[0] != '\0' && is_below(s->path, s->of->path)) {
        (void)fprintf(s->to, "%sa watch of %s by session %s", s->found++ > 0 ? ", " : "", s->path,
                      line + 1);
    }
}

static bool is_of_raw(const struct search *s, const char *session)
{
    return (int64_t)strtoull(session, NULL, 16) == rawzk_session_id(s->of->raw);
}

static void ephemeral_line(void *arg, const char *line)
{
    struct search *s = arg;
    char id[40];
    if (line[0] == '0') {
        (void)snprintf(s->session, sizeof s->session, "%s", line);
        s->session[strcspn(s->session, ":")] = '\0';
    } else if (line[0] == '\t' && is_below(line + 1, s->of->path)) {
        (void)snprintf(id, sizeof id, "sid=%s,", s->session);
        if (strstr(s->connected, id) != NULL && !is_of_raw(s, s->session)) {
            (void)fprintf(s->to, "%s%s of session %s", s->found++ > 0 ? ", " : "", line + 1,
                          s->session);
        }
    }
}

static void find_watches(struct search *s)
{
    for (size_t i = 0; i < ens_count(); i++) {
        char *answer = word_ask(ens_direct_server(i), "wchp");
        s->path[0] = '\0';
        each_line(answer, watch_line, s);
        free(answer);
    }
}

/* `wchp` names no watches of children, but `mntr` counts them. */
static bool children_are_watched(const char *server)
{
    char *mntr = word_ask(server, "mntr");
    char *wchs = word_ask(server, "wchs");
    size_t all = word_figure(mntr, "zk_watch_count\t");
    size_t of_znodes = word_figure(wchs, "Total watches:");
    free(mntr);
    free(wchs);
    return all != of_znodes;
}

/* This function does not remove anything: it asks the server, which before 3.9 looks for such a watch of whatever
 * session. */
static void find_in_tree(struct search *s, struct rawzk *zk, const char *path)
{
    struct String_vector names = {0, NULL};
    char child[sizeof s->path];
    int rc = zoo_remove_watches(rawzk_handle(zk), path, ZWATCHTYPE_CHILD, NULL, NULL, 0);
    if (rc == ZOK) {
        (void)fprintf(s->to, "%sa watch of the children of %s", s->found++ > 0 ? ", " : "", path);
    }
    if (zoo_get_children(rawzk_handle(zk), path, 0, &names) != ZOK) {
        return;
    }
    for (int32_t i = 0; i < names.count; i++) {
        (void)snprintf(child, sizeof child, "%s/%s", path, names.data[i]);
        find_in_tree(s, zk, child);
    }
    deallocate_String_vector(&names);
}

static void find_watches_of_children(struct search *s)
{
    for (size_t i = 0; i < ens_count(); i++) {
        if (children_are_watched(ens_direct_server(i))) {
            struct rawzk *zk = rawzk_open(ens_direct_server(i));
            find_in_tree(s, zk, s->of->path);
            rawzk_close(zk);
        }
    }
}

static char *connections(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    for (size_t i = 0; to != NULL && i < ens_count(); i++) {
        char *answer = word_ask(ens_direct_server(i), "cons");
        (void)fputs(answer, to);
        free(answer);
    }
    if (to == NULL || fclose(to) != 0) {
        ens_fail("no memory");
    }
    return text;
}

static void find_ephemerals(struct search *s)
{
    char *connected = connections();
    bool answered = false;
    s->connected = connected;
    for (size_t i = 0; !answered && i < ens_count(); i++) {
        char *answer = word_ask(ens_direct_server(i), "dump");
        answered = answer[0] != '\0';
        each_line(answer, ephemeral_line, s);
        free(answer);
    }
    free(connected);
}

/* How many ephemeral znodes the test itself has made. */
static size_t own_ephemerals(struct rawzk *raw, const char *path)
{
    struct String_vector names = {0, NULL};
    struct Stat stat;
    char child[512];
    size_t count = 0;
    if (zoo_get_children2(rawzk_handle(raw), path, 0, &names, &stat) == ZOK) {
        count = stat.ephemeralOwner == rawzk_session_id(raw) ? 1 : 0;
        for (int32_t i = 0; i < names.count; i++) {
            (void)snprintf(child, sizeof child, "%s/%s", path, names.data[i]);
            count += own_ephemerals(raw, child);
        }
        deallocate_String_vector(&names);
    }
    return count;
}

static void find_numbers(struct search *s)
{
    struct leftovers now = counted();
    if (now.ephemerals > s->of->ephemerals) {
        now.ephemerals -= own_ephemerals(s->of->raw, s->of->path);
    }
    if (now.watches > s->of->watches) {
        (void)fprintf(s->to, "%zu watches where there were %zu", now.watches, s->of->watches);
        s->found++;
    }
    if (now.ephemerals > s->of->ephemerals && now.sessions <= s->of->sessions) {
        (void)fprintf(s->to, "%s%zu ephemeral znodes where there were %zu",
                      s->found++ > 0 ? ", " : "", now.ephemerals, s->of->ephemerals);
    }
}

size_t leftovers_watches(const struct leftovers *l)
{
    char *text = NULL;
    size_t size = 0;
    struct search s = {.of = l, .to = open_memstream(&text, &size)};
    if (s.to == NULL) {
        ens_fail("no memory");
    }
    if (ens_is_local()) {
        struct leftovers now = counted();
        s.found = now.watches > l->watches ? now.watches - l->watches : 0;
    } else {
        find_watches(&s);
        find_watches_of_children(&s);
    }
    (void)fclose(s.to);
    free(text);
    return s.found;
}

char *leftovers_find(const struct leftovers *l)
{
    char *text = NULL;
    size_t size = 0;
    struct search s = {.of = l, .to = open_memstream(&text, &size)};
    if (s.to == NULL) {
        ens_fail("no memory");
    }
    if (ens_is_local()) {
        find_numbers(&s);
    } else {
        find_watches(&s);
        find_watches_of_children(&s);
        find_ephemerals(&s);
    }
    (void)fclose(s.to);
    if (s.found == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

char *leftovers_await(const struct leftovers *l, int timeout_ms)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char *left = leftovers_find(l);
    for (int waited = 0; left != NULL && waited < timeout_ms; waited += PAUSE_MS) {
        free(left);
        (void)nanosleep(&pause, NULL);
        left = leftovers_find(l);
    }
    return left;
}
