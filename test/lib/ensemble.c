#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ensemble.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h needs the headers above. */
#include <cmocka.h>

enum { MAX_SERVERS = 99, MAX_TEXT = 4096, MAX_PATH = 256 };

extern char **environ;

struct addresses {
    char *text;
    char *copy;
    char *item[MAX_SERVERS];
    size_t count;
};

static struct addresses proxied;
static struct addresses direct;
static struct addresses proxies; /* Their names. */
static pthread_once_t read_once = PTHREAD_ONCE_INIT;

void ens_fail(const char *format, ...)
{
    char message[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (gettid() == getpid()) {
        fail_msg("%s", message);
    }
    (void)fprintf(stderr, "a thread of the test failed: %s\n", message);
    abort();
}

static void read_addresses(struct addresses *into, const char *variable)
{
    const char *value = getenv(variable);
    if (value == NULL || value[0] == '\0') {
        return;
    }
    into->text = strdup(value);
    into->copy = strdup(value);
    if (into->text == NULL || into->copy == NULL) {
        abort();
    }
    char *rest = NULL;
    for (char *item = strtok_r(into->copy, ",", &rest); item != NULL && into->count < MAX_SERVERS;
         item = strtok_r(NULL, ",", &rest)) {
        into->item[into->count++] = item;
    }
}

static void read_environment(void)
{
    read_addresses(&proxied, "ZKSYNC_SERVERS");
    read_addresses(&direct, "ZKSYNC_DIRECT");
    read_addresses(&proxies, "ZKSYNC_PROXIES");
    (void)curl_global_init(CURL_GLOBAL_ALL);
}

/*
 * A test that needs an ensemble and has none is a mistake in how it was called; skipping it
 * quietly would look like success.
 */
static void need_environment(void)
{
    (void)pthread_once(&read_once, read_environment);
    if (proxied.count == 0 || direct.count != proxied.count) {
        ens_fail("ZKSYNC_SERVERS and ZKSYNC_DIRECT name no servers; run the test under "
                 "`tools/ensemble run --`");
    }
}

static void need_server(size_t i)
{
    need_environment();
    if (i >= proxied.count) {
        ens_fail("there is no server %zu, only %zu servers from 0", i, proxied.count);
    }
}

const char *ens_servers(void)
{
    need_environment();
    return proxied.text;
}

const char *ens_direct(void)
{
    need_environment();
    return direct.text;
}

size_t ens_count(void)
{
    need_environment();
    return proxied.count;
}

const char *ens_server(size_t i)
{
    need_server(i);
    return proxied.item[i];
}

const char *ens_direct_server(size_t i)
{
    need_server(i);
    return direct.item[i];
}

bool ens_are_ours(const char *mark)
{
    (void)mark;
    return getenv("ZKSYNC_ENSEMBLE") != NULL && getenv("ZKSYNC_ENSEMBLE_TOOL") != NULL;
}

bool ens_is_local(void)
{
    return getenv("ZKSYNC_ENSEMBLE_LOCAL") != NULL;
}

/* Reads all that the tool prints; what does not fit is read and dropped. */
static void read_output(int descriptor, char *output, size_t size)
{
    size_t length = 0;
    char piece[256];
    for (;;) {
        ssize_t got = read(descriptor, piece, sizeof piece);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        for (ssize_t k = 0; k < got && length + 1 < size; k++) {
            output[length++] = piece[k];
        }
    }
    output[length] = '\0';
}

static void run_tool(const char *const *arguments, char *output, size_t size)
{
    if (!ens_are_ours("")) {
        ens_fail("tools/ensemble %s: the servers were not started by tools/ensemble", arguments[1]);
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ens_fail("pipe: %s", strerror(errno));
    }
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    /* posix_spawn takes the arguments as not constant for historical reasons only. */
    char *words[6] = {NULL};
    for (size_t k = 0; k < 5 && arguments[k] != NULL; k++) {
        words[k] = (char *)(uintptr_t)arguments[k];
    }
    int error = posix_spawn(&child, words[0], &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (error != 0) {
        (void)close(ends[0]);
        ens_fail("%s: %s", words[0], strerror(error));
    }
    read_output(ends[0], output, size);
    (void)close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            ens_fail("waitpid: %s", strerror(errno));
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        ens_fail("tools/ensemble %s %s failed (status %#x); its message is above", words[1],
                 words[2] != NULL ? words[2] : "", (unsigned)status);
    }
}

static void control_with(const char *action, size_t i, const char *option, const char *other)
{
    need_server(i);
    char number[24];
    char output[64];
    (void)snprintf(number, sizeof number, "%zu", i + 1);
    const char *words[] = {getenv("ZKSYNC_ENSEMBLE_TOOL"), action, number, option, other, NULL};
    run_tool(words, output, sizeof output);
}

static void control(const char *action, size_t i, const char *option)
{
    control_with(action, i, option, NULL);
}

/* Whether this program has stopped a server that may still stand still, or be configured otherwise. */
static atomic_bool stopped_one;

void ens_kill(size_t i)
{
    stopped_one = true;
    control("kill", i, NULL);
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
    (void)stat;
    (void)kind;
    bool keep = walk->level == 0 || strcmp(path + walk->base, "myid") == 0;
    return keep ? 0 : remove(path);
}

void ens_wipe(size_t i)
{
    need_server(i);
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "%s/data%zu", getenv("ZKSYNC_ENSEMBLE"), i + 1);
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        ens_fail("%s: %s", path, strerror(errno));
    }
}

void ens_start(size_t i)
{
    control("start", i, NULL);
}

void ens_start_no_wait(size_t i)
{
    control("start", i, "--no-wait");
}

void ens_start_set(size_t i, const char *setting)
{
    char option[MAX_PATH];
    (void)snprintf(option, sizeof option, "--set=%s", setting);
    control_with("start", i, "--no-wait", option);
}

void ens_pause(size_t i)
{
    stopped_one = true;
    control("pause", i, NULL);
}

void ens_resume(size_t i)
{
    control("resume", i, NULL);
}

size_t ens_leader(void)
{
    need_environment();
    char output[64];
    const char *words[] = {getenv("ZKSYNC_ENSEMBLE_TOOL"), "leader", NULL};
    run_tool(words, output, sizeof output);
    unsigned long number = strtoul(output, NULL, 10);
    if (number < 1 || number > proxied.count) {
        ens_fail("tools/ensemble leader printed \"%s\"", output);
    }
    return (size_t)number - 1;
}

void ens_await(void)
{
    need_environment();
    char output[64];
    const char *words[] = {getenv("ZKSYNC_ENSEMBLE_TOOL"), "await", NULL};
    run_tool(words, output, sizeof output);
}

void ens_restore(void)
{
    char output[64];
    const char *words[] = {getenv("ZKSYNC_ENSEMBLE_TOOL"), "restore", NULL};
    if (stopped_one) {
        run_tool(words, output, sizeof output);
        stopped_one = false;
    }
}

struct text {
    char data[MAX_TEXT];
    size_t length;
};

static size_t keep_text(char *data, size_t size, size_t count, void *context)
{
    struct text *text = context;
    for (size_t k = 0; k < size * count && text->length + 1 < sizeof text->data; k++) {
        text->data[text->length++] = data[k];
    }
    text->data[text->length] = '\0';
    return size * count;
}

/* One request to Toxiproxy's API, with a handle of its own so that any thread can make it. Gives the
 * status, or 0 and an error text in the answer. */
static long ask_proxy(const char *method, const char *path, const char *body, struct text *answer)
{
    const char *base = getenv("TOXIPROXY");
    answer->length = 0;
    if (base == NULL || base[0] == '\0') {
        (void)snprintf(answer->data, sizeof answer->data, "TOXIPROXY is not set");
        return 0;
    }
    char url[MAX_TEXT];
    (void)snprintf(url, sizeof url, "%s%s%s", strstr(base, "://") != NULL ? "" : "http://", base,
                   path);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (curl == NULL || headers == NULL) {
        ens_fail("libcurl has no memory");
    }
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    /* Signals would make the time limit unsafe in a program with threads. */
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_text);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode result = curl_easy_perform(curl);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (result != CURLE_OK) {
        (void)snprintf(answer->data, sizeof answer->data, "%s", curl_easy_strerror(result));
        return 0;
    }
    return status;
}

static pthread_once_t look_once = PTHREAD_ONCE_INIT;
static bool has_proxy;

static void look_for_proxy(void)
{
    struct text answer;
    need_environment();
    has_proxy =
        proxies.count == proxied.count && ask_proxy("GET", "/proxies", NULL, &answer) == 200;
}

bool ens_has_proxy(void)
{
    (void)pthread_once(&look_once, look_for_proxy);
    return has_proxy;
}

/* Fails the test unless the request succeeds; a toxic that is to be deleted need not be there. */
static void call_proxy(const char *method, const char *path, const char *body, bool missing_ok)
{
    struct text answer;
    long status = ask_proxy(method, path, body, &answer);
    if ((status < 200 || status > 299) && !(missing_ok && status == 404)) {
        ens_fail("%s %s: status %ld, %s", method, path, status, answer.data);
    }
}

static const char *proxy_name(size_t i)
{
    need_server(i);
    if (i >= proxies.count) {
        ens_fail("there is no proxy in front of server %zu", i);
    }
    return proxies.item[i];
}

/* Whether a proxy may do anything but forward; at the start another program may have left it so. */
static atomic_bool disturbed = true;

static void enable(size_t i, bool enabled)
{
    disturbed = disturbed || !enabled;
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "/proxies/%s", proxy_name(i));
    call_proxy("POST", path, enabled ? "{\"enabled\": true}" : "{\"enabled\": false}", false);
}

void proxy_cut(size_t i)
{
    enable(i, false);
}

void proxy_heal(size_t i)
{
    enable(i, true);
}

void proxy_cut_all(void)
{
    for (size_t i = 0; i < ens_count(); i++) {
        proxy_cut(i);
    }
}

void proxy_heal_all(void)
{
    for (size_t i = 0; i < ens_count(); i++) {
        proxy_heal(i);
    }
}

static const char *const streams[] = {"upstream", "downstream"};

/* A toxic of this type in each direction. */
static void add_toxics(size_t i, const char *type, unsigned value)
{
    disturbed = true;
    for (size_t k = 0; k < 2; k++) {
        char path[MAX_PATH];
        char body[160];
        (void)snprintf(path, sizeof path, "/proxies/%s/toxics", proxy_name(i));
        (void)snprintf(body, sizeof body,
                       "{\"name\": \"%s_%s\", \"type\": \"%s\", \"stream\": \"%s\", "
                       "\"attributes\": {\"%s\": %u}}",
                       type, streams[k], type, streams[k], type, value);
        call_proxy("POST", path, body, false);
    }
}

static void remove_toxics(size_t i, const char *type)
{
    for (size_t k = 0; k < 2; k++) {
        char path[MAX_PATH];
        (void)snprintf(path, sizeof path, "/proxies/%s/toxics/%s_%s", proxy_name(i), type,
                       streams[k]);
        call_proxy("DELETE", path, NULL, true);
    }
}

void proxy_blackhole(size_t i)
{
    add_toxics(i, "timeout", 0);
}

void proxy_unblackhole(size_t i)
{
    remove_toxics(i, "timeout");
}

void proxy_delay(size_t i, unsigned ms)
{
    remove_toxics(i, "latency");
    if (ms > 0) {
        add_toxics(i, "latency", ms);
    }
}

void proxy_reset_all(void)
{
    if (!atomic_exchange(&disturbed, false)) {
        return;
    }
    /* Not by POST /reset: the Toxiproxy can have proxies of others. */
    for (size_t i = 0; i < ens_count(); i++) {
        proxy_unblackhole(i);
        proxy_delay(i, 0);
        proxy_heal(i);
    }
}
