/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/handle_log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* libzookeeper's log callback has no argument, so a line goes to every client that wants any. */
static pthread_mutex_t logging_lock = PTHREAD_MUTEX_INITIALIZER;
static struct zks__logger *logging;

static enum zks_log_level level_of(const char *line)
{
    static const struct {
        const char *word;
        enum zks_log_level level;
    } levels[] = {
        {":ZOO_ERROR@", ZKS_LOG_ERROR}, {":ZOO_WARN@", ZKS_LOG_WARN}, {":ZOO_INFO@", ZKS_LOG_INFO}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strstr(line, levels[i].word) != NULL) {
            return levels[i].level;
        }
    }
    return ZKS_LOG_DEBUG;
}

void zks__log_after_fork(void)
{
    pthread_mutex_init(&logging_lock, NULL);
    logging = NULL;
}

void zks__log_line(const char *message)
{
    char line[1024];
    enum zks_log_level level = level_of(message);
    snprintf(line, sizeof line, "%s", message);
    line[strcspn(line, "\n")] = '\0'; /* Some of libzookeeper's lines end with one. */
    pthread_mutex_lock(&logging_lock);
    for (struct zks__logger *l = logging; l != NULL; l = l->next) {
        if (l->options->wants_log(l->options->arg, level)) {
            l->options->log(l->options->arg, level, line);
        }
    }
    pthread_mutex_unlock(&logging_lock);
}

void zks__logger_join(struct zks__logger *l)
{
    pthread_mutex_lock(&logging_lock);
    l->next = logging;
    logging = l;
    pthread_mutex_unlock(&logging_lock);
}

void zks__logger_leave(struct zks__logger *l)
{
    pthread_mutex_lock(&logging_lock);
    for (struct zks__logger **at = &logging; *at != NULL; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    pthread_mutex_unlock(&logging_lock);
}
