/* SPDX-License-Identifier: Apache-2.0 */
/* A small server that speaks ZooKeeper's protocol, for one machine and for tests: in a library of its
 * own, libzksync-server.  It is one process that keeps everything in memory and, where it is given a
 * folder, on disk; it is no ensemble and takes no part in one. */
#ifndef ZKSYNC_SERVER_H
#define ZKSYNC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A server runs on a thread of its own.  Its functions may be called from any thread, but not in its log
 * callback, nor during or after zks_server_close(), nor in a child process after fork(). */
typedef struct zks_server zks_server;

typedef struct zks_server_options {
    size_t size; /* Set by ZKS_SERVER_OPTIONS_INIT, so that options can be added later. */

    /* Where to listen, "127.0.0.1:2181", "[::1]:2181"; with port 0 any free one, which the server then
     * keeps.  An address that is not of this machine alone needs allow_remote too.  NULL:
     * "127.0.0.1:0". */
    const char *listen;
    bool allow_remote;

    /* Where what is written is kept; the folder is created where it is not there, open to its owner
     * alone, and belongs to one server at a time.  NULL: in memory only, for as long as the
     * zks_server is there. */
    const char *folder;

    /* What clients must present before they may do anything: as the credentials of the scheme "zksync".
     * NULL: nothing. */
    const char *secret;

    /* Of the processes of this machine only those of the user who runs the server, and root's, may
     * connect, where the system tells whose they are. */
    bool only_user;

    /* Sessions are granted timeouts within these bounds and looked at once a tick; 0 for 1,000 ms, 2
     * ticks and two minutes. */
    uint32_t tick_ms;
    uint32_t min_session_timeout_ms;
    uint32_t max_session_timeout_ms;

    /* How often containers that are empty again, and znodes whose time to live is over, are looked for and
     * deleted; 0 for a minute. */
    uint32_t reap_ms;

    /* The server ends by itself after so long without a connection and without a session.  Default
     * ZKS_FOREVER. */
    int64_t idle_ms;

    /* Limits; what is over one is refused and the log says so.  0 for the default.  One answer may not be
     * longer than max_unread; before the secret was presented a request may have 4,096 bytes.  An access
     * control list may have 1,000 entries and 64 KiB, a connection 32 identities with 4,096 bytes. */
    size_t max_connections; /* 10,000. */
    size_t max_frame;       /* Bytes of a request: 1,048,575, as ZooKeeper's jute.maxbuffer. */
    size_t max_outstanding; /* Requests of a connection under way; more are read later: 10,000. */
    size_t max_unread;      /* Bytes of answers and events that a client may leave unread, which are
                               kept in memory, before it is cut off: 64 MiB. */
    size_t max_watches;     /* 10 million. */
    size_t max_sessions;    /* 100,000. */
    size_t max_znodes;      /* 10 million. */
    size_t max_bytes;       /* Of paths and data: 2 GiB; as much again of access control lists, each
                               counted for each znode that has it, and of the paths of watches. */

    /* NULL: no log, unless ZKSYNC_LOG is set, as for a client.  It may be called by several threads at
     * once. */
    zks_log_cb log;
    void *log_arg;
    enum zks_log_level log_level; /* Default ZKS_LOG_WARN. */

    /* Callbacks for a program that keeps track of leases across servers that are killed; NULL for none.  They must not
     * call functions of the server.
     *
     * lease: called before the server grants a session timeout longer than all it has granted since it was opened or
     * started.  Called on the server's thread, or by zks_server_open and zks_server_start for the sessions found in
     * the folder.
     *
     * opened: called by those two functions once the folder has been read, before any client is served.  `id`, shorter
     * than 48 bytes, identifies the folder; a copy has another one, provided that the file system records when a file
     * was created.  `is_empty` is true if nothing was ever written to the folder.  If it returns an error, the
     * function fails with it. */
    void (*lease)(int64_t longest_ms, void *arg);
    int (*opened)(const char *id, bool is_empty, void *arg);
    void *lease_arg; /* Passed to both. */
} zks_server_options;

#define ZKS_SERVER_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(zks_server_options), NULL, false, NULL, NULL, false, 0, 0, 0, 0, ZKS_FOREVER, 0, 0, \
            0, 0, 0, 0, 0, 0, NULL, NULL, ZKS_LOG_WARN, NULL, NULL, NULL                           \
    }

/* zks_server_open: starts a server; it serves when this returns.  `options` may be NULL for the
 * defaults; nothing of it is referred to after the return.  On success *server is set and the caller
 * owns it: zks_server_close ends it.  On failure *server is not touched, nothing is left running, and
 * the log says why.
 *  ZKS_EINVAL   an option is not valid.
 *  ZKS_EEXIST   the address or the folder is another server's.
 *  ZKS_EACCES   the address or the folder may not be used.
 *  ZKS_ESYSTEM  the folder cannot be read or written, or what is in it is damaged or of a later version.
 *  ZKS_ENOMEM
 * Since 0.1. */
ZKS_EXPORT int zks_server_open(const zks_server_options *options, zks_server **server);

/* zks_server_close: stops the server and frees it; NULL is fine.  Sessions are not ended: where there is
 * a folder, they and what they hold are there again when a server is next opened on it.  Since 0.1. */
ZKS_EXPORT void zks_server_close(zks_server *server);

/* zks_server_address: where it listens, "127.0.0.1:43215", as zks_client_options.servers takes it.  The
 * text belongs to the server.  Since 0.1. */
ZKS_EXPORT const char *zks_server_address(const zks_server *server);

/* zks_server_wait: waits until the server has stopped, for whatever reason.
 *  ZKS_ETIMEDOUT  it still runs.
 *  ZKS_ESYSTEM    it had to stop, as where its disk is full or fails, or where its folder has been removed, renamed
 *                 or replaced, which it notices within a second; the log says why.
 * Since 0.1. */
ZKS_EXPORT int zks_server_wait(zks_server *server, int64_t timeout_ms);

/* zks_server_stop: closes all connections and stops; clients see a server that has gone.  Done already is
 * no error.  zks_server_start: starts it again, at the same address, with all znodes and sessions that it had, also
 * where there is no folder; sessions have all of their timeout again.
 *  ZKS_EEXIST, ZKS_EACCES, ZKS_ESYSTEM, ZKS_ENOMEM  as zks_server_open.
 * Since 0.1. */
ZKS_EXPORT void zks_server_stop(zks_server *server);
ZKS_EXPORT int zks_server_start(zks_server *server);

/* zks_server_lease_ms: how long clients may hold locks after the server has stopped, in ms: the longest timeout of a
 * session that had ephemerals, 0 if there was none.  *lost is set to true if the folder had been removed, renamed or
 * replaced, so that the next server on it does not know these sessions: no other server may grant the same locks until
 * the time is over.
 *  ZKS_EBUSY   the server runs; *lost is not touched.
 *  ZKS_EINVAL  lost is NULL.
 * Since 0.1. */
ZKS_EXPORT int64_t zks_server_lease_ms(zks_server *server, bool *lost);

/* What tests do to a session; its number is zks_client_session_id()'s.
 *
 * zks_server_expire_session: ends it, as if its time were up.  zks_server_cut: closes its connection;
 * it may connect again.  zks_server_drop_reply: the next reply to one of its requests is not sent, but
 * the connection closed instead: the request has been carried out, and its client cannot know.
 *  ZKS_ENOENT        there is no such session.
 *  ZKS_EDISCONNECTED zks_server_cut, zks_server_drop_reply: it has no connection; or the server is
 *                    stopped.
 * Since 0.1. */
ZKS_EXPORT int zks_server_expire_session(zks_server *server, int64_t session);
ZKS_EXPORT int zks_server_cut(zks_server *server, int64_t session);
ZKS_EXPORT int zks_server_drop_reply(zks_server *server, int64_t session);

/* What a server says of itself. */
struct zks_server_stats {
    int64_t zxid; /* Of the last write. */
    size_t connections;
    size_t sessions;
    size_t znodes;
    size_t ephemerals;
    size_t watches;
    size_t bytes; /* Of paths and data. */
    uint64_t requests;
    uint64_t syncs; /* How many times the disk was waited for. */
};

/* zks_server_get_stats: as of just now.
 *  ZKS_EDISCONNECTED  the server is stopped; *stats is not touched.
 * Since 0.1. */
ZKS_EXPORT int zks_server_get_stats(zks_server *server, struct zks_server_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
