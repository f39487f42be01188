/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_ERR_H
#define ZKSYNC_ERR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ZKS_EXPORT __attribute__((visibility("default")))
#else
#define ZKS_EXPORT
#endif

/* Every error of the library: its name, its number and a sentence for people.  Numbers are part of
 * the ABI: a new one is appended, an old one is never used again. */
#define ZKS_ERRORS(X)                                                                              \
    X(ZKS_EINVAL, -1, "An argument is not valid.")                                                 \
    X(ZKS_ENOMEM, -2, "Memory could not be allocated.")                                            \
    X(ZKS_EBUSY, -3, "It is taken, and the call was asked not to wait.")                           \
    X(ZKS_ETIMEDOUT, -4, "The time limit passed before it could be done.")                         \
    X(ZKS_ECANCELED, -5, "The operation was cancelled.")                                           \
    X(ZKS_ECLOSED, -6, "The client or the handle was closed.")                                     \
    X(ZKS_EDEADLK, -7,                                                                             \
      "Waiting here would never end: the handle is in use, or this is a callback.")                \
    X(ZKS_EPERM, -8, "This handle does not hold what the call is about.")                          \
    X(ZKS_ELOST, -9, "What this handle held was lost: its session ended or may have ended.")       \
    X(ZKS_ESESSION, -10, "The session expired while the call waited.")                             \
    X(ZKS_EDISCONNECTED, -11, "No server of the ensemble can be reached.")                         \
    X(ZKS_EAUTH, -12, "The server refused the client's credentials.")                              \
    X(ZKS_EACCES, -13, "The access control list of the znode forbids it.")                         \
    X(ZKS_EEXIST, -14, "It exists already.")                                                       \
    X(ZKS_ENOENT, -15, "It does not exist.")                                                       \
    X(ZKS_ENOCHROOT, -16, "The root in the connect string does not exist on the servers.")         \
    X(ZKS_EEPHEMERAL, -17,                                                                         \
      "A parent in the path is an ephemeral znode, which cannot have children.")                   \
    X(ZKS_ENOTEMPTY, -18, "The znode has children.")                                               \
    X(ZKS_ELAYOUT, -19, "The path holds znodes that are not laid out as this primitive needs.")    \
    X(ZKS_ETOOMANY, -20, "The double barrier has all its participants already.")                   \
    X(ZKS_EMISMATCH, -21, "The participants disagree on how many they are.")                       \
    X(ZKS_EFORKED, -22, "The client was opened by the parent process; open one in the child.")     \
    X(ZKS_ESERVER, -23, "The server refused the operation for a reason of its own.")               \
    X(ZKS_ESYSTEM, -24, "The operating system refused a thread, a descriptor or the like.")        \
    X(ZKS_ECONFIG, -25, "No servers are named, or a setting is not valid.")                        \
    X(ZKS_EVERSION, -26, "The servers are older than ZooKeeper 3.5.")                              \
    X(ZKS_ELIMIT, -27,                                                                             \
      "The client's session may have no more znodes or watches: use a further client.")

enum zks_error {
#define ZKS_ERROR_ENUM(name, number, text) name = number,
    ZKS_ERRORS(ZKS_ERROR_ENUM)
#undef ZKS_ERROR_ENUM
};

/* zks_strerror: the sentence for an error, "Success." for 0.  The string is static; any thread may
 * call it.  A number that is no error of the library gives a sentence that says so.  Since 0.1. */
ZKS_EXPORT const char *zks_strerror(int error);

/* zks_err_name: the error's name, such as "ZKS_EBUSY"; "0" for 0, "?" for an unknown number.
 * The string is static.  Since 0.1. */
ZKS_EXPORT const char *zks_err_name(int error);

/* zks_last_error: a sentence about the last call on the calling thread that returned an error: what
 * zks_strerror() cannot know, such as the option that is not valid or what each server answered; where
 * no more is known, the text of zks_strerror().  "" if no call on this
 * thread has failed.  Like errno, it is left alone by calls that succeed, so it is meaningful only
 * after a failure.  The results of operations (zks_op_cb) do not set it, nor do the functions of
 * server.h.  The string belongs to the thread and is valid until its next call of the library.
 * Since 0.1. */
ZKS_EXPORT const char *zks_last_error(void);

/* zks_err_is_retryable: whether the same call may succeed later with nothing changed by the
 * caller.  Since 0.1. */
ZKS_EXPORT bool zks_err_is_retryable(int error);

/* zks_err_is_ambiguous: whether the call may have taken effect although it reports this error.  Refusals
 * (ZKS_EACCES, ZKS_ESERVER, ZKS_EAUTH) are among these: an answer can get lost, and the servers then refuse to tell
 * what became of the request.
 * Since 0.1. */
ZKS_EXPORT bool zks_err_is_ambiguous(int error);

#ifdef __cplusplus
}
#endif
#endif
