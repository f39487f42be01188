/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_CLIENT_H
#define ZKSYNC_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "zksync/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A client is one session with a ZooKeeper ensemble, renewed by itself when it expires, and one
 * thread that does the library's work, beside two of libzookeeper's and one while a session is closed.
 * A session that no server has answered for three session timeouts (one, where servers close each
 * connection before any answer) is given up and renewed like an expired one: servers that have lost their
 * data never say that it has expired.
 * All its functions may be called from any thread, but a client must not be used while or after it is
 * closed, nor in a child process after fork().
 *
 * The servers must be of ZooKeeper 3.5 or later; on older ones locks and double barriers fail with
 * ZKS_EVERSION, and zks_last_error() says which server has which version.
 *
 * All these threads block all signals but those of a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
 * SIGSYS, SIGABRT) that the thread which opens the client does not block, so signals are delivered to the
 * application's threads only.  Callbacks run with this
 * mask unless dispatch is manual: a process that one of them starts inherits it. */
typedef struct zks_client zks_client;

enum zks_client_state {
    ZKS_CLIENT_CONNECTING = 0, /* No server has answered yet. */
    ZKS_CLIENT_CONNECTED,      /* For the first time. */
    ZKS_CLIENT_SUSPENDED,      /* Cut off.  What is held stays held until its safe_until. */
    ZKS_CLIENT_LOST,           /* The session ended, or has to be taken for ended: no server has
                                * answered for its timeout.  The servers may have ended it before.
                                * Not reported for one that ended before ZKS_CLIENT_CONNECTED was. */
    ZKS_CLIENT_RECONNECTED,    /* Connected again, in the same session or in a new one. */
    ZKS_CLIENT_AUTH_FAILED,    /* The credentials were refused.  This is final: close it. */
    ZKS_CLIENT_CLOSED
};

/* zks_client_state_name: "connected" and so on; "?" for a number that is none.  Since 0.1. */
ZKS_EXPORT const char *zks_client_state_name(enum zks_client_state state);

/* The listener is told every change of state, in order, where completions run (see zks_op_cb). */
typedef void (*zks_client_listener)(zks_client *client, enum zks_client_state state, void *arg);

/* The defaults of zks_client_options, and the session timeouts that can be asked for.  A connection has to be
 * made within a third of what is asked for: less than a second is not enough on every network. */
enum {
    ZKS_SESSION_TIMEOUT_MS = 20000,
    ZKS_SESSION_TIMEOUT_MIN_MS = 1000,
    ZKS_SESSION_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    ZKS_CONNECT_TIMEOUT_MS = 15000
};

/* The longest texts of zks_client_options, in bytes, so that no request comes near the size at which servers
 * close the connection (jute.maxbuffer, 1 MiB by default): the identity, the reason, and together the schemes
 * and ids of the access control list, or the credentials and their scheme.  Every process that waits reads the
 * first two. */
enum {
    ZKS_IDENTITY_MAX = 255,
    ZKS_REASON_MAX = 1023,
    ZKS_ACL_BYTES_MAX = 65536,
    ZKS_AUTH_BYTES_MAX = 65536
};

/* The default of max_session_bytes, and what it can be. */
enum {
    ZKS_SESSION_BYTES = 512 * 1024,
    ZKS_SESSION_BYTES_MIN = 4096,
    ZKS_SESSION_BYTES_MAX = 1000000
};

enum zks_log_level { ZKS_LOG_ERROR = 1, ZKS_LOG_WARN, ZKS_LOG_INFO, ZKS_LOG_DEBUG };

/* The log callback is called from any thread, several at once, with a line without its newline. It
 * must not call the library. */
typedef void (*zks_log_cb)(enum zks_log_level level, const char *line, void *arg);

/* Permissions of an access control list, to be or-ed. */
enum {
    ZKS_PERM_READ = 1,
    ZKS_PERM_WRITE = 2,
    ZKS_PERM_CREATE = 4,
    ZKS_PERM_DELETE = 8,
    ZKS_PERM_ADMIN = 16,
    ZKS_PERM_ALL = 31
};

struct zks_acl {
    int perms;
    const char *scheme; /* "world", "auth", "digest", "ip" ... */
    const char *id;     /* "anyone", "", "user:hash", "127.0.0.1" ... */
};

typedef struct zks_client_options {
    size_t size; /* Set by ZKS_CLIENT_OPTIONS_INIT, so that options can be added later. */

    /* "host:port,host:port/root", an IPv6 address in brackets: "[::1]:2181"; the root, which must exist, is
     * where all paths begin.  "local" is the user's local server, which is started if none runs, and again
     * whenever the client has lost it: see local.h.  NULL: the servers of the settings (see config.h), and with
     * them the root, the credentials and the timeouts that are not given here.  Where no setting names
     * servers, opening fails. */
    const char *servers;

    /* The session timeout to ask for, from ZKS_SESSION_TIMEOUT_MIN_MS to ZKS_SESSION_TIMEOUT_MAX_MS; the
     * servers bound it.  0: that of the settings where servers is NULL, else 20,000.  All servers of an
     * ensemble must grant the same: where their tickTime or their session bounds differ so that one grants
     * less, it can shorten a session without the client knowing, and two clients can hold one lock.  Of a server
     * that it has not met yet the client cannot know what it grants.  Once it has met two different grants the
     * log warns, and the shorter one counts: for the rest of the session, and for later ones while they
     * are cut off. */
    uint32_t session_timeout_ms;

    /* How long zks_client_open() waits for the first connection; ZKS_FOREVER, or 0 to return at
     * once and connect in the background.  ZKS_DEFAULT: that of the settings where servers is NULL,
     * else 15,000. */
    int64_t connect_timeout_ms;

    /* Credentials, for example "digest" and "user:password"; NULL for none.  Those of the scheme
     * "zksync" are the secret of a zksync-server, and say nothing of who the client is; that of the
     * local server is presented by itself, ahead of these.  At most ZKS_AUTH_BYTES_MAX bytes.  Copied. */
    const char *auth_scheme;
    const char *auth;

    /* The access control list of every znode that the client creates.  NULL: everybody may do
     * everything, or where credentials are given, but for a secret, only who has the same ones.  At most
     * 1000 entries with ZKS_ACL_BYTES_MAX bytes.  Copied. */
    const struct zks_acl *acl;
    size_t n_acl;

    /* What the client's znodes say of it: who it is, and why; NULL for the program's name and for
     * nothing.  At most ZKS_IDENTITY_MAX and ZKS_REASON_MAX bytes.  Host, process, user and time are
     * added.  Copied. */
    const char *identity;
    const char *reason;

    zks_client_listener listener; /* NULL for none. */
    void *listener_arg;

    /* NULL: no log, unless the environment variable ZKSYNC_LOG is error, warn, info or debug: then
     * the log is standard error, and log_level is that one.  Lines that standard error does not take at
     * once are dropped. */
    zks_log_cb log;
    void *log_arg;
    enum zks_log_level log_level; /* Default ZKS_LOG_WARN. */

    /* Deliver completions and callbacks only inside zks_client_dispatch(). */
    bool manual_dispatch;

    /* The process that the client's znodes name; 0 for the one that opens it.  For a client that acts
     * on behalf of another process. */
    int64_t pid;

    /* A path such as "/team" that is put in front of each path of a lock, a barrier, a double barrier or an
     * observer.  It is created like the parents of any path.  "" for none.  NULL: that of the settings
     * where servers is NULL, else none.  Copied. */
    const char *root;

    /* How many bytes of paths the servers may have to keep for the client's session: of the znodes by which it
     * holds locks, waits for them or takes part in double barriers; and, counted by themselves, of its watches.
     * What would exceed it is refused with ZKS_ELIMIT: use a further client then.  0: 512 KiB, with which
     * a client can hold about 5,900 locks at paths of 32 bytes, or 550 at paths of 888.  A create
     * whose reply was lost counts as one more znode for 15 session timeouts.
     *
     * The servers end a session in one transaction, and ones with some 2 MiB of paths have brought down whole
     * ensembles for good (ZOOKEEPER-4306); they cut off clients that reconnect with more than 1 MiB of watches.
     * Both limits follow the servers' jute.maxbuffer: where that is below its default of 1 MiB, set this to at most
     * half of it.  Watches of locks and double barriers can take half as much again, but none is
     * needed for a lock that is held: without one a removal by somebody else is noticed within about a session
     * timeout. */
    uint32_t max_session_bytes;

    /* How often a client that holds a lock, or is next to get one, asks the leader whether its session lives,
     * each third time by a write; from a hundredth to a tenth of the session timeout.  0: a twentieth, with which a
     * holder that is cut off has about half of the session timeout left until it has to take what it holds for
     * lost.  With a tenth there are half as many requests, and about a third of the timeout is left. */
    uint32_t lease_renewal_ms;

    /* For how long this goes on, without writes, after the last lock was released: meanwhile a free lock is granted
     * by the answer to its one write.  After that the client asks nothing of the leader, and the next lock takes
     * a fiftieth of the session timeout and three requests longer.  0: three session timeouts; UINT32_MAX: for ever. */
    uint32_t lease_linger_ms;
} zks_client_options;

#define ZKS_CLIENT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(zks_client_options), NULL, 0, ZKS_DEFAULT, NULL, NULL, NULL, 0, NULL, NULL, NULL,   \
            NULL, NULL, NULL, ZKS_LOG_WARN, false, 0, NULL, 0, 0, 0                                \
    }

/* zks_client_open: starts a client.  `options` may be NULL for the defaults; nothing of it is
 * referred to after the return.  On success *client is set and the caller owns it: zks_client_close
 * ends it.  On failure *client is not touched and nothing is left running.
 * zks_last_error() and the log say more of each of these:
 *  ZKS_EINVAL        an option is not valid.
 *  ZKS_ECONFIG       `servers` is NULL, and the settings name no servers or are not valid.  No server was
 *                    asked, and none was started.
 *  ZKS_EDISCONNECTED no server answered within connect_timeout_ms; or the local one cannot be started, or
 *                    does not answer.
 *  ZKS_EAUTH         the servers refused the credentials.
 *  ZKS_EACCES        the folder or the secret of the local server is another user's or open to others.
 *  ZKS_ENOCHROOT     the root in `servers` does not exist.  Calls on an open client return it, too, while the
 *                    root does not exist.
 *  ZKS_ESYSTEM       no thread or descriptor can be had.  Up to five threads are needed at a time, also where
 *                    a session is begun anew: that is then logged and tried again twice a second.
 *  ZKS_ENOMEM
 * To start a local server takes mostly some hundredths of a second, and 30 seconds at most; it is waited
 * for also where connect_timeout_ms is 0.
 * Since 0.1. */
ZKS_EXPORT int zks_client_open(const zks_client_options *options, zks_client **client);

/* zks_client_close: ends the session, so that everything held is released at once, and frees the
 * client; NULL is fine.  Operations under way complete with ZKS_ECLOSED before it returns, on the
 * calling thread where dispatch is manual.  Handles made from the client must be freed too, before
 * or after; after it they are of no other use.  It waits for at most a few seconds where no server
 * answers; what is held is then released when the session times out.  In a child process after
 * fork() it only frees memory, for the session is the parent's.
 *  ZKS_EDEADLK  called in a callback; nothing was done.
 * Since 0.1. */
ZKS_EXPORT int zks_client_close(zks_client *client);

/* zks_client_get_state: the present state.  Since 0.1. */
ZKS_EXPORT enum zks_client_state zks_client_get_state(zks_client *client);

/* zks_client_session_id: the present session's number, 0 where there is none.  Since 0.1. */
ZKS_EXPORT int64_t zks_client_session_id(zks_client *client);

/* zks_client_session_timeout_ms: what the servers granted, the shortest where one has granted less than
 * another; 0 before the first connection.  Since 0.1. */
ZKS_EXPORT uint32_t zks_client_session_timeout_ms(zks_client *client);

/* zks_client_safe_until: until when the session is sure to live, on the clock of zks_clock_ms(); 0
 * where nothing is known.  It moves on while the client is connected and a lock is held by it, or is about to be; at
 * other times nothing is written to prove it, and it can lie in the past.  Where a server grants less than before
 * it goes back.  Since 0.1. */
ZKS_EXPORT uint64_t zks_client_safe_until(zks_client *client);

/* What zks_client_ping() has found out. */
struct zks_ping {
    char server[72]; /* The address of the one that answered, "127.0.0.1:2181" or "[::1]:2181". */
    int64_t session;
    uint32_t session_timeout_ms; /* As zks_client_session_timeout_ms() tells it. */
    uint64_t read_us;            /* How long that one took to answer a read. */
    uint64_t write_us;           /* How long a quorum took for a write, which changes nothing. */
};

/* zks_client_ping: asks the servers something and measures how long it takes.  On failure *ping is not
 * touched.
 *  ZKS_ETIMEDOUT, ZKS_EDISCONNECTED (0 ms), ZKS_ENOCHROOT, ZKS_EAUTH, ZKS_ENOMEM, ZKS_EDEADLK,
 *  ZKS_ECLOSED, ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_client_ping(zks_client *client, int64_t timeout_ms, struct zks_ping *ping);

/* zks_path_check: whether a lock or a barrier can be at this path, without asking a server.
 *  ZKS_EINVAL   it cannot; zks_last_error() names the path and what is wrong with it.
 * Since 0.1. */
ZKS_EXPORT int zks_path_check(const char *path);

/* zks_client_probe: asks each server of the client's list directly, at the addresses that the hosts had
 * when the client was opened, and outside the client's session.  For a client that does not connect:
 * `buf`, unless it is NULL, gets a sentence about each server, cut off where it does not fit, such as
 * "zk1:2181, zk2:2181: Connection refused".  zks_client_open() asks by itself before it fails.
 *  0                 a server serves.
 *  ZKS_EDISCONNECTED none does within `timeout_ms`; zks_last_error() is the same sentence.
 *  ZKS_EINVAL, ZKS_EDEADLK, ZKS_ECLOSED, ZKS_EFORKED   `buf` is not touched.
 * Since 0.1. */
ZKS_EXPORT int zks_client_probe(zks_client *client, int64_t timeout_ms, char *buf, size_t size);

/* zks_clock_ms: the library's clock in ms.  It never goes back and counts time that the machine
 * slept (CLOCK_BOOTTIME).  Since 0.1. */
ZKS_EXPORT uint64_t zks_clock_ms(void);

/* zks_client_fd: for manual dispatch: a descriptor that polls readable while zks_client_dispatch()
 * has something to deliver, and not while a thread is in it already, or when nothing is left to
 * deliver.  It belongs to the client; do not read or close it.
 *  ZKS_EINVAL   the client delivers by itself.
 * Since 0.1. */
ZKS_EXPORT int zks_client_fd(zks_client *client);

/* zks_client_dispatch: delivers what is due on the calling thread and returns how many callbacks it
 * ran.  It never waits.  Where another thread is in it already, that one delivers everything and this
 * one returns 0.
 *  ZKS_EINVAL   the client delivers by itself.
 *  ZKS_EDEADLK  called in a callback.
 *  ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_client_dispatch(zks_client *client);

#ifdef __cplusplus
}
#endif
#endif
