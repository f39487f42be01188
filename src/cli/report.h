/* SPDX-License-Identifier: Apache-2.0 */
/* What is told while a lock is waited for and held: lines to standard error, and events to --status-fd.
 * Whoever reads them, or does not, must not be able to hold up the one that watches the lease, so
 * nothing here blocks: what cannot be written waits its turn. */
#ifndef ZKS_CLI_REPORT_H
#define ZKS_CLI_REPORT_H

#include <cjson/cJSON.h>
#include <poll.h>
#include <stdbool.h>

struct cli_sink {
    int fd;    /* -1 for none. */
    bool ours; /* It is to be closed. */
    char *text;
    size_t len;
};

struct cli_report {
    struct cli_sink lines;
    struct cli_sink events;
    bool verbose;
    bool live;       /* Standard error is a terminal on which a line can be kept up to date. */
    bool live_shown; /* There is such a line now. */
};

enum { CLI_REPORT_POLLS = 2 };

/* cli_open_again: the same pipe or terminal, opened once more so that writing to it does not wait, which
 * does not change what others see of theirs; or the descriptor itself where it is neither, or cannot be. */
int cli_open_again(int fd);

void cli_report_init(struct cli_report *r, bool verbose, int status_fd);

/* cli_report_close: gives what is left to write a second. */
void cli_report_close(struct cli_report *r);

/* cli_report_mute: nothing goes to standard error any more. */
void cli_report_mute(struct cli_report *r);

/* cli_report_say: a line to standard error.  cli_report_tell: the same with -v only. */
void cli_report_say(struct cli_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_report_tell(struct cli_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* cli_report_live: replaces the line that is kept up to date; "" takes it away. */
void cli_report_live(struct cli_report *r, const char *line);

/* cli_report_event: a new event, to be added to and then sent; NULL where nobody wants any.  Sending takes
 * the event; NULL is fine. */
cJSON *cli_report_event(struct cli_report *r, const char *name);
void cli_report_send(struct cli_report *r, cJSON *event);

/* cli_report_polls: what to poll for; returns how many.  cli_report_flush: writes what can be written. */
nfds_t cli_report_polls(const struct cli_report *r, struct pollfd polls[CLI_REPORT_POLLS]);
void cli_report_flush(struct cli_report *r);

#endif
