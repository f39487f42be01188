/* SPDX-License-Identifier: Apache-2.0 */
/* What one client is to the server, without its socket: bytes come in, are taken apart into requests, and
 * what is to be sent waits until its owner knows that all it tells of is durable. */
#ifndef ZKS_SERVER_PEER_H
#define ZKS_SERVER_PEER_H

#include "server/auth.h"
#include "server/codec.h"
#include "server/figures.h"
#include "server/outbox.h"
#include "server/service.h"

/* How long a client has to say who it is, and to read the last that it is sent. */
enum { ZKS__PATIENCE_MS = 10000 };

struct zks__peer;

/* All peers of a server, and what they have in common. */
struct zks__peers {
    struct zks__service *service;
    struct zks__map by_session; /* Those that have one. */
    const char *secret;         /* NULL for none. */
    size_t max_frame;
    size_t max_outstanding;
    size_t max_unread;
    bool all_words;    /* All four-letter words are answered, not only the harmless ones. */
    uint64_t told_ms;  /* When the next line of zks__peers_say_seldom() may be written. */
    uint64_t lines_ms; /* When zks__peer_say() begins to count anew. */
    unsigned lines;
    uint64_t requests;
    uint64_t rejected;           /* Connections, for there were as many as there may be. */
    uint64_t began_ms;           /* By the clock. */
    struct zks__figures figures; /* Of those that have gone as well. */
    size_t n;
    struct zks__peer *first;
    struct zks__peer *due; /* Those with something to send, or whose connection is to end. */
    void (*log)(void *arg, int level, const char *line);
    void *arg;
    struct zks__writer scratch; /* Memory for as long as a request takes. */
};

struct zks__peer {
    struct zks__link link; /* In by_session. */
    struct zks__watcher watcher;
    struct zks__peers *peers;
    struct zks__peer *prev;
    struct zks__peer *next;
    struct zks__peer *next_due;
    struct zks__session session; /* A number of 0 for none yet. */
    struct zks__identity identity;
    char address[64]; /* "127.0.0.1:4711", for people. */
    struct zks__writer in;
    struct zks__outbox out;
    uint64_t requests;
    struct zks__figures figures;
    size_t fresh;         /* Answers in `out` that were not yet known to be durable. */
    uint64_t arrived_ms;  /* By the clock: when the oldest of `in` came, */
    uint64_t answered_ms; /* and when an answer could last be sent. */
    int64_t began_ms;     /* Since 1970. */
    int32_t last_opcode;
    int32_t last_xid; /* -1 for none. */
    int64_t last_zxid;
    uint64_t since_ms; /* When the connection began, or its ending. */
    bool pending;      /* Its session begins once it has shown the secret. */
    bool old;          /* A client that knows nothing of read-only servers. */
    bool authorised;   /* It has shown the secret, or need not. */
    bool drop_reply;   /* The next reply is to get lost. */
    bool ending;       /* Nothing more is read; the connection ends once all is sent, */
    bool ended;        /* or at once. */
    bool due;
    bool more; /* `in` has requests that had to wait until some of `out` has gone. */
};

/* zks__peers_init: false where there is no memory.  zks__peers_close: all peers must be closed. */
bool zks__peers_init(struct zks__peers *peers, struct zks__service *service);
void zks__peers_close(struct zks__peers *peers);

/* zks__peer_open: `ip` is the address in the form that access control lists have; false where there is no
 * memory.  zks__peer_close: its watches go; its session stays. */
bool zks__peer_open(struct zks__peer *p, struct zks__peers *peers, const char *ip,
                    const char *address);
void zks__peer_close(struct zks__peer *p);

/* zks__peers_due: takes one that is due from their list; NULL where there is none. */
struct zks__peer *zks__peers_due(struct zks__peers *peers);

/* zks__peer_mark: puts it into that list.  zks__peer_cut: the connection is to end at once; zks__peer_end: once what it has to hear is sent. */
void zks__peer_mark(struct zks__peer *p);
void zks__peer_cut(struct zks__peer *p);
void zks__peer_end(struct zks__peer *p);

/* zks__peer_take: carries out what has come whole into `in`. */
void zks__peer_take(struct zks__peer *p);

/* zks__peer_wants: whether more may be carried out for it now.  zks__peer_hears: whether more is to be read from
 * it; what has been read comes first. */
bool zks__peer_wants(const struct zks__peer *p);
bool zks__peer_hears(const struct zks__peer *p);

/* zks__peer_arrived: there is something in `in` where there was nothing.  zks__peer_released: all that is in `out`
 * may be sent. */
void zks__peer_arrived(struct zks__peer *p, uint64_t clock_ms);
void zks__peer_released(struct zks__peer *p, uint64_t clock_ms);

/* zks__peer_overfull: whether it has left more unread than it may; it is cut off then. */
bool zks__peer_overfull(struct zks__peer *p);

/* zks__peers_tell: for zks__service_options.tell; its argument is the peers. */
void zks__peers_tell(struct zks__peers *peers, struct zks__watcher *watcher, enum zks__event event,
                     const char *path);

/* zks__peers_find: whose session it is; NULL where it has no connection. */
struct zks__peer *zks__peers_find(const struct zks__peers *peers, int64_t session);

/* zks__peers_end_session: closes the session, and the connection that it has. */
void zks__peers_end_session(struct zks__peers *peers, int64_t session);

/* zks__peer_say: a line of the log that begins with the peer's address.  There are a few for all peers in a
 * tick, and the last one says that others are left out: a client that is refused a thousand times is not to
 * fill the disk. */
void zks__peer_say(const struct zks__peer *p, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* zks__peers_say_seldom: a warning that anybody can bring about, at most once a tick: who has no secret is not
 * to fill the disk. */
void zks__peers_say_seldom(struct zks__peers *peers, const char *line);

/* ---- For the files of requests ---- */

/* zks__begin_reply, zks__end_reply: around the body of a reply. */
size_t zks__begin_reply(struct zks__peer *p, int32_t xid, int64_t zxid, int32_t code);
void zks__end_reply(struct zks__peer *p, size_t at);

/* zks__scratch: memory for the request in hand, good until the next call; NULL where there is none. */
void *zks__scratch(struct zks__peers *peers, size_t size);

/* zks__request: carries out a request that is no ping, auth or end of the session; `r` is its body. */
void zks__request(struct zks__peer *p, int32_t xid, int32_t opcode, struct zks__reader *r);

/* zks__words: answers a four-letter word; false where the four bytes cannot be one. */
bool zks__words(struct zks__peer *p, const unsigned char word[4]);

#endif
