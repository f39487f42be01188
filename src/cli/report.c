/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "duration.h"
#include "zksync/client.h"

enum { WAITING_MAX = 256 * 1024, LAST_MS = 1000 };

static void close_sink(struct cli_sink *s)
{
    if (s->ours) {
        close(s->fd);
    }
    s->fd = -1;
    s->ours = false;
    s->len = 0;
}

/* Without waiting also where the descriptor could not be opened again. */
static ssize_t write_now(int fd, char *text, size_t len)
{
    struct iovec piece = {text, len};
    ssize_t wrote = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
    bool unknown = wrote < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL);
    return unknown ? write(fd, text, len) : wrote;
}

/* What polls writable takes a piece of PIPE_BUF bytes, unless somebody else is faster; then it is to be
 * written later. */
static void flush_sink(struct cli_sink *s)
{
    while (s->len > 0 && s->fd >= 0) {
        struct pollfd poll_it = {.fd = s->fd, .events = POLLOUT};
        if (poll(&poll_it, 1, 0) <= 0) {
            return;
        }
        size_t piece = s->len < PIPE_BUF ? s->len : PIPE_BUF;
        ssize_t wrote = -1;
        errno = EPIPE; /* Nobody reads it, or nobody ever could. */
        if ((poll_it.revents & POLLOUT) != 0) {
            wrote = send(s->fd, s->text, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
            wrote = wrote < 0 && errno == ENOTSOCK ? write_now(s->fd, s->text, piece) : wrote;
        }
        if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (wrote <= 0) {
            close_sink(s);
            return;
        }
        s->len -= (size_t)wrote;
        memmove(s->text, s->text + wrote, s->len);
    }
}

int cli_open_again(int fd)
{
    char path[40];
    struct stat info;
    if (fstat(fd, &info) != 0 || !(S_ISFIFO(info.st_mode) || isatty(fd))) {
        return fd;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return again >= 0 ? again : fd;
}

static void open_sink(struct cli_sink *s, int fd)
{
    s->fd = fd >= 0 ? cli_open_again(fd) : -1;
    s->ours = s->fd != fd;
}

void cli_report_init(struct cli_report *r, bool verbose, int status_fd)
{
    memset(r, 0, sizeof *r);
    open_sink(&r->lines, STDERR_FILENO);
    open_sink(&r->events, status_fd);
    r->verbose = verbose;
    r->live = verbose && isatty(STDERR_FILENO);
}

void cli_report_mute(struct cli_report *r)
{
    flush_sink(&r->lines);
    close_sink(&r->lines);
}

/* All of it or nothing; without an end of patience memory would be the end. */
static void put(struct cli_sink *s, const char *text)
{
    size_t len = strlen(text);
    if (s->fd < 0 || s->len + len > WAITING_MAX) {
        return;
    }
    char *grown = realloc(s->text, s->len + len);
    if (grown == NULL) {
        return;
    }
    s->text = grown;
    memcpy(s->text + s->len, text, len);
    s->len += len;
    flush_sink(s);
}

static void say(struct cli_report *r, const char *format, va_list arguments)
{
    char line[4096];
    size_t at = (size_t)snprintf(line, sizeof line, "%szksync: ", r->live_shown ? "\r\033[K" : "");
    vsnprintf(line + at, sizeof line - at - 1, format, arguments);
    strcat(line, "\n");
    r->live_shown = false;
    put(&r->lines, line);
}

void cli_report_say(struct cli_report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(r, format, arguments);
    va_end(arguments);
}

void cli_report_tell(struct cli_report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (r->verbose) {
        say(r, format, arguments);
    }
    va_end(arguments);
}

void cli_report_live(struct cli_report *r, const char *line)
{
    char text[1024];
    if (line[0] == '\0' && !r->live_shown) {
        return;
    }
    int len = snprintf(text, sizeof text, "zksync: %s", line);
    struct winsize window;
    bool sized = ioctl(r->lines.fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
    if (sized && len >= window.ws_col) {
        len = window.ws_col - 1; /* One that wraps cannot be wiped. */
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    char whole[sizeof text + 8];
    snprintf(whole, sizeof whole, "\r\033[K%.*s", line[0] != '\0' ? len : 0, text);
    r->live_shown = line[0] != '\0';
    put(&r->lines, whole);
}

cJSON *cli_report_event(struct cli_report *r, const char *name)
{
    char time[CLI_AGE_SIZE];
    if (r->events.fd < 0) {
        return NULL;
    }
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "event", name);
    cJSON_AddStringToObject(event, "time", cli_time(cli_wall_ms(), time));
    return event;
}

void cli_report_send(struct cli_report *r, cJSON *event)
{
    char *text = event != NULL ? cJSON_PrintUnformatted(event) : NULL;
    size_t len = text != NULL ? strlen(text) : 0;
    char *line = text != NULL ? malloc(len + 2) : NULL;
    if (line != NULL) {
        memcpy(line, text, len);
        strcpy(line + len, "\n");
        put(&r->events, line);
    }
    free(line);
    cJSON_free(text);
    cJSON_Delete(event);
}

nfds_t cli_report_polls(const struct cli_report *r, struct pollfd polls[CLI_REPORT_POLLS])
{
    nfds_t n = 0;
    const struct cli_sink *sinks[] = {&r->lines, &r->events};
    for (size_t i = 0; i < 2; i++) {
        if (sinks[i]->len > 0) {
            polls[n++] = (struct pollfd){.fd = sinks[i]->fd, .events = POLLOUT};
        }
    }
    return n;
}

void cli_report_flush(struct cli_report *r)
{
    flush_sink(&r->lines);
    flush_sink(&r->events);
}

void cli_report_close(struct cli_report *r)
{
    struct pollfd polls[CLI_REPORT_POLLS];
    uint64_t until = zks_clock_ms() + LAST_MS;
    cli_report_live(r, "");
    for (uint64_t now = zks_clock_ms(); now < until; now = zks_clock_ms()) {
        nfds_t n = cli_report_polls(r, polls);
        if (n == 0 || poll(polls, n, (int)(until - now)) <= 0) {
            break;
        }
        cli_report_flush(r);
    }
    close_sink(&r->lines);
    close_sink(&r->events);
    free(r->lines.text);
    free(r->events.text);
}
