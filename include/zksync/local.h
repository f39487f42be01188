/* SPDX-License-Identifier: Apache-2.0 */
/* The user's local server: one for each user of a machine, started by whoever first needs it, as the
 * server of tmux is, and ended by itself when nobody has needed it for ZKS_LOCAL_IDLE_MS.
 *
 * All of it is in one folder, $XDG_STATE_HOME/zksync or ~/.local/state/zksync, of which nobody else may
 * write anything, and which hosts and containers that share it have one server for:
 *
 *   data/         the server's znodes and sessions
 *   secret        what a client must present; made once, and readable by the user alone
 *   port          where the server last listened: it listens there again where it can
 *   server.lock   locked by the server as long as it lives; what it says counts only while it is
 *   start.lock    locked while a server is started; records the last start that failed, and why
 *   server.log    what a server in the background had to say
 *
 * server.lock cannot be stale: the system releases a lock when its process ends.  The server also locks the file
 * .zksync.lock next to the folder and listens on an abstract socket, so that there is one server even if the folder is
 * removed or renamed.  The leases recorded in .zksync.lock outlive the server, for a successor that finds other data. */
#ifndef ZKSYNC_LOCAL_H
#define ZKSYNC_LOCAL_H

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZKS_LOCAL_IDLE_MS = 600000 };

/* A local server that runs, as a client needs it. */
struct zks_local {
    char address[80]; /* "127.0.0.1:43215". */
    char secret[72];  /* The credentials of the scheme "zksync"; "" where it wants none. */
    int64_t pid;      /* In the server's PID namespace. */
    bool started;     /* By this very call. */
};

/* The functions below may be called from any thread and in any process.  `log`, which may be NULL, gets a
 * sentence for each failure, at ZKS_LOG_ERROR, on the calling thread.
 *
 * zks_local_find: finds the server that runs, if one does, and asks it whether it serves, so that its
 * idle time begins anew.  It waits at most `timeout_ms` for one that is just being started or ended, where
 * 0 looks once, and 5 seconds for its answer.  On failure *local is not touched.
 *  ZKS_ENOENT         none runs; the log says nothing.
 *  ZKS_EDISCONNECTED  one runs and does not answer, or runs on another host, or in another network
 *                     namespace (a container) of this one, that shares the folder; or one ends since its
 *                     folder has gone, and waits for the leases of its clients.
 *  ZKS_EACCES         the folder or the secret is another user's or open to others, or a folder above, from
 *                     $HOME or $XDG_STATE_HOME on, is neither this user's nor root's; nothing was read.
 *  ZKS_ESYSTEM        the folder or what is in it cannot be reached or read, or is damaged; or the home
 *                     folder does not exist.
 *  ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_local_find(int64_t timeout_ms, zks_log_cb log, void *log_arg,
                              struct zks_local *local);

/* zks_local_start: finds it, or starts one and waits until it serves.  Of many who call this at once,
 * one starts it.  What runs is `zksync serve --background`: the program that $ZKSYNC_COMMAND names, or
 * the calling one where that is zksync, or the one that belongs to this library, or the one in $PATH.
 * It keeps nothing of the caller's: no descriptor, no terminal, no signal, no folder.  Nice value, scheduling
 * class, I/O priority, CPU affinity and OOM score become the defaults, and the limits of address space, CPU
 * time, data, file size and open files the hard ones, as far as the system allows it.  If the user has a service
 * manager (systemd --user), it runs in a scope of that, and otherwise in the cgroup of the caller.  The program may
 * ignore SIGCHLD, or reap all its children itself.  On failure *local is not touched; a server that takes
 * longer may come to serve all the same.
 *  ZKS_EDISCONNECTED  none serves within `timeout_ms`, or it could not be started, or has ended, for another
 *                     reason than those below.
 *  ZKS_ESYSTEM        as zks_local_find; or the folder, or what the server needs in it, such as data/, port and
 *                     server.log, cannot be made or written.
 *  ZKS_EACCES         as zks_local_find.
 *  ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_local_start(int64_t timeout_ms, zks_log_cb log, void *log_arg,
                               struct zks_local *local);

/* zks_local_pid: the process that is the server now, 0 for none.  It reads the folder, and asks the server
 * nothing.
 *  ZKS_EBUSY          one is being started or ended.
 *  ZKS_EDISCONNECTED  its process is one of another host or PID namespace.
 *  ZKS_EACCES, ZKS_ESYSTEM  as zks_local_find.
 * Since 0.1. */
ZKS_EXPORT int64_t zks_local_pid(zks_log_cb log, void *log_arg);

/* zks_local_folder: the path of the folder, which need not exist.
 *  ZKS_EINVAL   it does not fit.
 *  ZKS_ESYSTEM  it is not known: the user has no home.
 * Since 0.1. */
ZKS_EXPORT int zks_local_folder(char *buf, size_t size);

/* zks_local_ask: connects to a server of ZooKeeper's kind at an address such as "127.0.0.1:2181", sends it a
 * word of four letters and puts the answer into `buf`, cut off where it does not fit.
 *  ZKS_EDISCONNECTED  nobody listens there, or what does ends the connection without an answer.
 *  ZKS_ETIMEDOUT
 *  ZKS_EINVAL         no numeric address, no word, or no room.
 *  ZKS_ESYSTEM
 * Since 0.1. */
ZKS_EXPORT int zks_local_ask(const char *address, const char *word, int64_t timeout_ms, char *buf,
                             size_t size);

/* What the server itself has, as long as it is the user's local server. */
struct zks_local_claim {
    const char *listen; /* Where to listen: the last port, or "127.0.0.1:0". */
    const char *folder; /* For zks_server_options. */
    const char *secret;
    const char *log; /* The path of its log. */
};

/* zks_local_claim: makes the calling process the user's local server, which nobody finds before
 * zks_local_publish.  The folder and the secret are made where they are not there.  On success *claim is
 * set and the caller owns it: zks_local_release frees it.  The claim ends with the process, too.
 *  ZKS_EEXIST   another process is the local server; the log says which.
 *  ZKS_EACCES, ZKS_ESYSTEM  as zks_local_start.
 *  ZKS_ENOMEM, ZKS_EINVAL
 * zks_local_publish: from now on others find it, at this address; where `open` they present no secret.
 *  ZKS_ESYSTEM  it cannot be written down; nobody finds it.
 * zks_local_wait_ms: how long to wait before serving, in ms.  0 if the data folder is the one that the last server had;
 *               otherwise the rest of that server's longest lease, since its clients may still hold locks that this
 *               server knows nothing of.  Call it from zks_server_options.opened, with the arguments of that.  The
 *               wait starts with this call.  If this process ends during it, the next one waits only for the rest.
 * zks_local_lease: records the longest lease next to the folder, in case this process is killed; before
 *               zks_local_publish it is kept in memory and recorded by that.  For zks_server_options.lease.  May be
 *               called from any thread.  A write that fails is retried by zks_local_claim_check.
 * zks_local_stopped: records that the leases expire in `lease_ms` (zks_server_lease_ms).  Call it when the server has
 *               stopped.
 * zks_local_claim_check: whether server.lock is still where it was; to be called twice a second.
 *  ZKS_ENOENT   it, or the folder, has been removed, renamed or replaced: nobody finds this server any more.
 *               Close the server at once, and release the claim when the leases of its clients have expired
 *               (zks_server_lease_ms): until then no other process can become the local server of the
 *               folder.
 * zks_local_release: nobody finds it any more.  The server must have been closed, for another one may take
 * its folder at once.  NULL is fine.
 * Since 0.1. */
ZKS_EXPORT int zks_local_claim(zks_log_cb log, void *log_arg, struct zks_local_claim **claim);
ZKS_EXPORT int zks_local_publish(struct zks_local_claim *claim, const char *address, bool open);
ZKS_EXPORT int64_t zks_local_wait_ms(struct zks_local_claim *claim, const char *id, bool is_empty);
ZKS_EXPORT void zks_local_lease(struct zks_local_claim *claim, int64_t longest_ms);
ZKS_EXPORT void zks_local_stopped(struct zks_local_claim *claim, int64_t lease_ms);
ZKS_EXPORT int zks_local_claim_check(struct zks_local_claim *claim);
ZKS_EXPORT void zks_local_release(struct zks_local_claim *claim);

#ifdef __cplusplus
}
#endif
#endif
