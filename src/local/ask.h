/* SPDX-License-Identifier: Apache-2.0 */
/* A four-letter word asked at one address, without waiting: the caller polls. */
#ifndef ZKS_LOCAL_ASK_H
#define ZKS_LOCAL_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "local/limit.h"

enum zks__ask_state {
    ZKS__ASK_CONNECTING,
    ZKS__ASK_ASKED, /* Connected and sent; the answer in `buf` may be incomplete. */
    ZKS__ASK_ENDED, /* The peer has closed the connection; `len` may be 0. */
    ZKS__ASK_FAILED /* `error` says why. */
};

struct zks__ask {
    enum zks__ask_state state;
    int fd;
    int error; /* An errno. */
    const char *word;
    char *buf; /* The answer, terminated; cut off where it does not fit. */
    size_t size;
    size_t len;
};

/* zks__ask_begin: begins to connect.  Whatever the state is then, zks__ask_close() closes. */
void zks__ask_begin(struct zks__ask *a, const struct sockaddr *to, socklen_t len, const char *word,
                    char *buf, size_t size);

/* zks__ask_events: what to poll `fd` for; 0 once it has ended or failed.
 * zks__ask_step: goes on when the poll has reported something. */
short zks__ask_events(const struct zks__ask *a);
void zks__ask_step(struct zks__ask *a);

void zks__ask_close(struct zks__ask *a);

/* zks__ask: zks_local_ask() with a limit; the arguments are valid, but for the address. */
int zks__ask(const char *address, const char *word, const struct zks__limit *limit, char *buf,
             size_t size);

#endif
