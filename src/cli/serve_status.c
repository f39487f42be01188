/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attributes.h"
#include "client.h"
#include "exit.h"
#include "look.h"
#include "serve.h"
#include "ward.h"

enum { STOP_MS = 30000, AGAIN_MS = 10, ANSWER_SIZE = 4096 };

static const struct {
    const char *key; /* As "mntr" has it. */
    const char *name;
} figures[] = {{"zk_num_alive_connections", "connections"},
               {"zk_global_sessions", "sessions"},
               {"zk_znode_count", "znodes"},
               {"zk_ephemerals_count", "ephemerals"},
               {"zk_watch_count", "watches"},
               {"zk_approximate_data_size", "bytes"}};

static void log_error(enum zks_log_level level, const char *line, void *arg)
{
    (void)arg;
    if (level == ZKS_LOG_ERROR) {
        fprintf(stderr, "%s\n", line);
    }
}

/* The value in a line "key<TAB>value"; "" where there is no such line. */
static const char *value_of(const char *answer, const char *key, char value[64])
{
    size_t len = strlen(key);
    value[0] = '\0';
    for (const char *at = answer; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
        if (strncmp(at, key, len) == 0 && at[len] == '\t') {
            snprintf(value, 64, "%.*s", (int)strcspn(at + len + 1, "\n"), at + len + 1);
        }
    }
    return value;
}

/* None where its number is not one of ours. */
static size_t find_attributes(const struct zks_local *local,
                              struct cli_attribute list[CLI_ATTRIBUTES_MAX])
{
    return zks_local_pid(NULL, NULL) == local->pid ? cli_attributes_find((pid_t)local->pid, list)
                                                   : 0;
}

static int print_text(const struct zks_local *local, const char *folder, const char *answer)
{
    char value[64];
    struct cli_attribute list[CLI_ATTRIBUTES_MAX];
    size_t n = find_attributes(local, list);
    printf("the local server runs at %s, process %lld, folder %s\n", local->address,
           (long long)local->pid, folder);
    printf("version %s", value_of(answer, "zk_version", value));
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        printf(", %s %s", value_of(answer, figures[i].key, value), figures[i].name);
    }
    printf("\n");
    for (size_t i = 0; i < n; i++) {
        printf("%s%s %s%s", i == 0 ? "runs with " : ", ", list[i].name, list[i].value,
               i + 1 == n ? "\n" : "");
    }
    return CLI_OK;
}

static int print_json(const struct zks_local *local, const char *folder, const char *answer)
{
    char value[64];
    struct cli_attribute list[CLI_ATTRIBUTES_MAX];
    size_t n = find_attributes(local, list);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddBoolToObject(json, "running", true);
    cJSON_AddStringToObject(json, "address", local->address);
    cJSON_AddNumberToObject(json, "pid", (double)local->pid);
    cJSON_AddStringToObject(json, "folder", folder);
    cJSON_AddBoolToObject(json, "secret", local->secret[0] != '\0');
    cJSON_AddStringToObject(json, "version", value_of(answer, "zk_version", value));
    cJSON_AddStringToObject(json, "state", value_of(answer, "zk_server_state", value));
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (value_of(answer, figures[i].key, value)[0] != '\0') {
            cJSON_AddNumberToObject(json, figures[i].name, strtod(value, NULL));
        }
    }
    cJSON *process = cJSON_AddObjectToObject(json, "process");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddStringToObject(process, list[i].name, list[i].value);
    }
    return cli_print_json(json);
}

static int print_none(const char *folder, bool json)
{
    int code;
    if (json) {
        cJSON *none = cJSON_CreateObject();
        cJSON_AddBoolToObject(none, "running", false);
        cJSON_AddStringToObject(none, "folder", folder);
        code = cli_print_json(none);
    } else {
        printf("no local server runs; its folder is %s\n", folder);
        code = CLI_OK;
    }
    return code != 0 ? code : CLI_NO;
}

int cli_serve_status(const struct cli_settings *s, bool json)
{
    struct zks_local local;
    char folder[CLI_PATH_SIZE];
    char answer[ANSWER_SIZE];
    int rc = zks_local_find(s->connect_timeout_ms, log_error, NULL, &local);
    if (rc == 0 || rc == ZKS_ENOENT) {
        int known = zks_local_folder(folder, sizeof folder);
        rc = known != 0 ? known : rc;
    }
    if (rc == ZKS_ENOENT) {
        return print_none(folder, json);
    }
    if (rc != 0) {
        return cli_exit_of(rc, CLI_UNREACHABLE);
    }
    rc = zks_local_ask(local.address, "mntr", s->connect_timeout_ms, answer, sizeof answer);
    if (rc != 0) {
        return cli_fail(local.address, rc, CLI_UNREACHABLE);
    }
    return json ? print_json(&local, folder, answer) : print_text(&local, folder, answer);
}

/* As zks_local_pid, but waits for a server that is being started or ended. */
static int64_t find_pid(const struct cli_settings *s)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    uint64_t begun = zks_clock_ms();
    int64_t pid;
    while ((pid = zks_local_pid(log_error, NULL)) == ZKS_EBUSY &&
           (s->connect_timeout_ms == ZKS_FOREVER ||
            zks_clock_ms() - begun < (uint64_t)s->connect_timeout_ms)) {
        (void)nanosleep(&pause, NULL);
    }
    return pid;
}

/* 0, or an exit code with the sentence that belongs to it written. */
static int check_pid(int64_t pid)
{
    if (pid > 0) {
        return 0;
    }
    if (pid == 0) {
        cli_say("no local server runs");
        return CLI_NO;
    }
    if (pid == ZKS_EBUSY) {
        cli_say("a local server is being started or ended");
    }
    return cli_exit_of((int)pid, CLI_BUSY);
}

/* Also one that does not answer can be ended.  It is the same process as long as the record says so, and a
 * descriptor never comes to stand for another one. */
int cli_serve_stop(const struct cli_settings *s)
{
    int64_t pid = find_pid(s);
    int code = check_pid(pid);
    if (code != 0) {
        return code;
    }
    int ward = cli_ward_open((pid_t)pid);
    if (ward < 0 && errno != ESRCH) {
        cli_say("serve: process %lld: %s", (long long)pid, strerror(errno));
        return CLI_SYSTEM;
    }
    if (ward < 0 || zks_local_pid(NULL, NULL) != pid) {
        close(ward);
        cli_say("the local server, process %lld, has just ended", (long long)pid);
        return CLI_OK;
    }
    if (!cli_ward_signal(ward, SIGTERM)) {
        cli_say("the local server, process %lld, may not be ended: %s", (long long)pid,
                strerror(errno));
        return CLI_DENIED;
    }
    struct pollfd poll_it = {.fd = ward, .events = POLLIN};
    uint64_t until = zks_clock_ms() + STOP_MS;
    for (uint64_t now = zks_clock_ms(); now < until; now = zks_clock_ms()) {
        if (poll(&poll_it, 1, (int)(until - now)) > 0) {
            close(ward);
            if (s->verbose > 0) {
                cli_say("the local server, process %lld, has ended", (long long)pid);
            }
            return CLI_OK;
        }
    }
    cli_say("the local server, process %lld, was sent TERM and has not ended yet", (long long)pid);
    return CLI_BUSY;
}
