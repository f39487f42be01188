/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "daemon.h"
#include "duration.h"
#include "exit.h"
#include "parse.h"
#include "process1.h"

enum {
    OPTION_LISTEN = 256,
    OPTION_REMOTE,
    OPTION_DATA,
    OPTION_MEMORY,
    OPTION_TICK,
    OPTION_MIN,
    OPTION_MAX,
    OPTION_REAP,
    OPTION_IDLE,
    OPTION_NO_SECRET,
    OPTION_SECRET_FILE,
    OPTION_STOP,
    OPTION_STATUS,
    OPTION_JSON
};

/* What was asked for, besides how to serve. */
struct request {
    struct cli_serve serve;
    const char *data;
    const char *secret_file;
    bool memory;
    bool stop;
    bool status;
    bool json;
    bool serves; /* An option was given that only one who serves can heed. */
};

static bool take_ms(struct cli_parser *p, const char *what, uint32_t *ms)
{
    int64_t given = 0;
    if (!zks_parse_duration(optarg, &given) || given < 1 || given > INT32_MAX) {
        cli_usage(p->command, "a %s is like 2s or 500ms, not \"%s\"", what, optarg);
        return false;
    }
    *ms = (uint32_t)given;
    return true;
}

static bool take_idle(struct cli_parser *p, int64_t *ms)
{
    if (!zks_parse_duration(optarg, ms) || *ms == 0) {
        cli_usage(p->command, "an idle time is like 10m or forever, not \"%s\"", optarg);
        return false;
    }
    return true;
}

static bool take(struct cli_parser *p, int letter, struct request *r)
{
    zks_server_options *o = &r->serve.options;
    r->serves |= letter != OPTION_STOP && letter != OPTION_STATUS && letter != OPTION_JSON;
    switch (letter) {
    case OPTION_LISTEN:
        o->listen = optarg;
        return true;
    case OPTION_REMOTE:
        o->allow_remote = true;
        return true;
    case OPTION_DATA:
        r->data = optarg;
        return true;
    case OPTION_MEMORY:
        r->memory = true;
        return true;
    case OPTION_TICK:
        return take_ms(p, "tick", &o->tick_ms);
    case OPTION_MIN:
        return take_ms(p, "session timeout", &o->min_session_timeout_ms);
    case OPTION_MAX:
        return take_ms(p, "session timeout", &o->max_session_timeout_ms);
    case OPTION_REAP:
        return take_ms(p, "time between two looks", &o->reap_ms);
    case OPTION_IDLE:
        return take_idle(p, &o->idle_ms);
    case OPTION_NO_SECRET:
        r->serve.no_secret = true;
        return true;
    case OPTION_SECRET_FILE:
        r->secret_file = optarg;
        return true;
    case 'b':
        r->serve.background = true;
        return true;
    case OPTION_STOP:
        r->stop = true;
        return true;
    case OPTION_STATUS:
        r->status = true;
        return true;
    default:
        r->json = true;
        return true;
    }
}

/* A server of its own on that folder would lock out the local server. */
static bool is_local_folder(const char *data)
{
    char folder[CLI_PATH_SIZE];
    char inside[CLI_PATH_SIZE];
    struct stat given;
    struct stat local;
    if (zks_local_folder(folder, sizeof folder) != 0) {
        return false;
    }
    int len = snprintf(inside, sizeof inside, "%s/data", folder);
    bool there = stat(data, &given) == 0;
    const char *const theirs[] = {folder, len < CLI_PATH_SIZE ? inside : folder};
    for (size_t i = 0; i < 2; i++) {
        if (there ? stat(theirs[i], &local) == 0 && local.st_dev == given.st_dev &&
                        local.st_ino == given.st_ino
                  : strcmp(theirs[i], data) == 0) {
            return true;
        }
    }
    return false;
}

/* 0 or an exit code, with all said. */
static int check(const struct request *r)
{
    const zks_server_options *o = &r->serve.options;
    if ((r->stop || r->status) && (r->serves || (r->stop && r->status))) {
        return cli_usage("serve",
                         "--stop and --status are about the server that runs, and stand alone");
    }
    if (r->json && !r->status) {
        return cli_usage("serve", "--json is for --status");
    }
    if (r->data != NULL && r->data[0] == '\0') {
        return cli_usage("serve", "--data: the name of the folder is empty");
    }
    if (r->data != NULL && is_local_folder(r->data)) {
        return cli_usage("serve",
                         "--data %s: this is the local server's folder; to run the local server, "
                         "leave out --data",
                         r->data);
    }
    if (r->data != NULL && r->memory) {
        return cli_usage("serve", "--data or --memory, not both");
    }
    if (r->serve.own && r->data == NULL && !r->memory) {
        return cli_usage("serve", "a server of its own needs --data FOLDER or --memory");
    }
    if (r->secret_file != NULL && r->serve.no_secret) {
        return cli_usage("serve", "--secret-file or --no-secret, not both");
    }
    if (r->secret_file != NULL && !r->serve.own) {
        return cli_usage("serve",
                         "the local server makes its own secret; --secret-file is for --listen");
    }
    if (o->allow_remote && o->listen == NULL) {
        return cli_usage("serve", "--allow-remote, but at which address? (--listen)");
    }
    if (o->allow_remote && r->secret_file == NULL && !r->serve.no_secret) {
        return cli_usage("serve",
                         "whoever reaches it can do everything: --secret-file FILE, or say "
                         "--no-secret");
    }
    if (o->min_session_timeout_ms != 0 && o->max_session_timeout_ms != 0 &&
        o->min_session_timeout_ms > o->max_session_timeout_ms) {
        return cli_usage("serve", "the least session timeout is longer than the longest");
    }
    return 0;
}

/* A path that means the same when we have gone to another folder. */
static bool make_absolute(const char *given, char path[CLI_PATH_SIZE])
{
    int len = 0;
    path[0] = '\0';
    if (given[0] != '/') {
        if (getcwd(path, CLI_PATH_SIZE) == NULL) {
            return false;
        }
        len = (int)strlen(path);
    }
    int more =
        snprintf(path + len, (size_t)(CLI_PATH_SIZE - len), "%s%s", len > 0 ? "/" : "", given);
    errno = ENAMETOOLONG;
    return len + more < CLI_PATH_SIZE;
}

static int prepare(struct request *r)
{
    char message[CLI_MESSAGE_SIZE];
    zks_server_options *o = &r->serve.options;
    if (r->secret_file != NULL) {
        if (!zks_read_private(r->secret_file, r->serve.secret, sizeof r->serve.secret, message,
                              sizeof message)) {
            return cli_usage("serve", "%s", message);
        }
        if (r->serve.secret[0] == '\0') {
            return cli_usage("serve", "%s: the file holds no secret", r->secret_file);
        }
        o->secret = r->serve.secret;
    }
    if (r->data != NULL) {
        if (!make_absolute(r->data, r->serve.folder)) {
            cli_say("serve: %s: %s", r->data, strerror(errno));
            return CLI_SYSTEM;
        }
        o->folder = r->serve.folder;
    }
    return 0;
}

static int serve(struct cli_serve *s)
{
    int ready_fd = -1;
    if (!s->background) {
        return cli_serve_run(s, -1);
    }
    pid_t pid = cli_daemon(&ready_fd);
    if (pid < 0) {
        cli_say("serve: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    return pid == 0 ? cli_serve_run(s, ready_fd) : cli_daemon_await(pid, ready_fd);
}

int cli_serve(struct cli_settings *s, int argc, char **argv)
{
    static const zks_server_options defaults = ZKS_SERVER_OPTIONS_INIT;
    static const struct cli_option own[] = {{OPTION_LISTEN, "listen", true},
                                            {OPTION_REMOTE, "allow-remote", false},
                                            {OPTION_DATA, "data", true},
                                            {OPTION_MEMORY, "memory", false},
                                            {OPTION_TICK, "tick", true},
                                            {OPTION_MIN, "min-session-timeout", true},
                                            {OPTION_MAX, "max-session-timeout", true},
                                            {OPTION_REAP, "reap", true},
                                            {OPTION_IDLE, "idle", true},
                                            {OPTION_NO_SECRET, "no-secret", false},
                                            {OPTION_SECRET_FILE, "secret-file", true},
                                            {'b', "background", false},
                                            {OPTION_STOP, "stop", false},
                                            {OPTION_STATUS, "status", false},
                                            {OPTION_JSON, "json", false},
                                            {0, NULL, false}};
    struct cli_parser parser;
    struct request r = {.serve = {.settings = s, .options = defaults}};
    int letter;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(&parser)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return parser.exit;
        }
        if (!take(&parser, letter, &r)) {
            return CLI_USAGE;
        }
    }
    if (optind < argc) {
        return cli_usage(argv[0], "unexpected argument: \"%s\"", argv[optind]);
    }
    r.serve.own = r.serve.options.listen != NULL || r.data != NULL || r.memory;
    int code = check(&r);
    code = code != 0 ? code : prepare(&r);
    if (code == 0) {
        (void)umask(077);
        if (r.status || r.stop) {
            cli_process1_take_signals();
        }
        code = r.status ? cli_serve_status(s, r.json)
               : r.stop ? cli_serve_stop(s)
                        : serve(&r.serve);
    }
    explicit_bzero(r.serve.secret, sizeof r.serve.secret);
    return code;
}
