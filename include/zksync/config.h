/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: which servers clients use and how, from the environment and from files.
 *
 * The first of these that names a setting decides it:
 *
 *   1. the program itself: zks_client_options, zks_config_set(), or an option of the command
 *   2. the environment: ZKSYNC_SERVERS, ZKSYNC_ROOT, ZKSYNC_AUTH_FILE, ZKSYNC_SESSION_TIMEOUT,
 *      ZKSYNC_CONNECT_TIMEOUT
 *   3. the user's file: $XDG_CONFIG_HOME/zksync.conf, by default ~/.config/zksync.conf
 *   4. the host's file: /etc/zksync.conf
 *   5. the default; there is none for the servers
 *
 * ZKSYNC_CONFIG=FILE makes that file stand in for both files.  A file has one setting on a line:
 *
 *     # Lines that begin with # are comments.
 *     servers = zk1:2181,zk2:2181,zk3:2181
 *     root = /team
 *     auth-file = /etc/zksync.auth
 *     session-timeout = 20s
 *     connect-timeout = 15s
 *
 * Files fail closed: an unknown name, an empty value, a name given twice, or a file that cannot be read is an
 * error, and so is an empty variable of the environment.  Credentials are only for servers that the same or a
 * later source names; for others they are not used, and what is wrong with auth-file is no error then: a user
 * who names other servers need not be able to read the host's.  The host's file must belong to root, the others
 * to the effective user or root; only their owner may be able to write to them.  A program that runs with
 * more rights than its caller (AT_SECURE) ignores the environment. */
#ifndef ZKSYNC_CONFIG_H
#define ZKSYNC_CONFIG_H

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

enum zks_setting {
    ZKS_SETTING_SERVERS = 0, /* "host:port,...", with a root at the end, or "local". */
    ZKS_SETTING_ROOT,
    ZKS_SETTING_AUTH_FILE, /* One line, "scheme:credentials"; only its owner may have access. */
    ZKS_SETTING_SESSION_TIMEOUT,
    ZKS_SETTING_CONNECT_TIMEOUT
};

enum { ZKS_SETTINGS = 5 };

/* A set of settings.  One thread at a time may use it. */
typedef struct zks_config zks_config;

/* zks_config_new: reads the environment and the files.  What is wrong with them is kept in *config, for
 * zks_config_check().  On success the caller owns *config.
 *  ZKS_EINVAL, ZKS_ENOMEM
 * zks_config_free: frees it and wipes the credentials in it; NULL is fine.
 * Since 0.1. */
ZKS_EXPORT int zks_config_new(zks_config **config);
ZKS_EXPORT void zks_config_free(zks_config *config);

/* zks_config_set: gives a setting a value that goes before those of the environment and the files.  `origin`
 * is what zks_config_origin() returns for it, such as "--servers".  Both are copied.
 *  ZKS_EINVAL   the value is not valid; zks_config_error() says why.  The setting is unchanged.
 *  ZKS_ENOMEM
 * Since 0.1. */
ZKS_EXPORT int zks_config_set(zks_config *config, enum zks_setting setting, const char *value,
                              const char *origin);

/* zks_config_check: whether a client can be opened with it.
 *  ZKS_ECONFIG  a file or a value that is used is not valid, or no servers are named; zks_config_error() says
 *               which, and what to do.
 * Since 0.1. */
ZKS_EXPORT int zks_config_check(zks_config *config);

/* zks_config_error: the sentence for the last failure of zks_config_set() or zks_config_check(); "" where
 * there was none.  It is valid until the next call with this config.  Since 0.1. */
ZKS_EXPORT const char *zks_config_error(const zks_config *config);

/* zks_config_name: a setting's name in a file, such as "servers"; NULL for a number that is none.
 * zks_config_value: its value as it was given, the default where it was not; "" for none.
 * zks_config_origin: where that comes from: "ZKSYNC_SERVERS", "/etc/zksync.conf:3", what zks_config_set()
 * was given, "default", or "not set" where there is no default.
 * zks_config_variable: the variable of the environment for it.
 * The strings live as long as the config, or are static.  Since 0.1. */
ZKS_EXPORT const char *zks_config_name(enum zks_setting setting);
ZKS_EXPORT const char *zks_config_variable(enum zks_setting setting);
ZKS_EXPORT const char *zks_config_value(const zks_config *config, enum zks_setting setting);
ZKS_EXPORT const char *zks_config_origin(const zks_config *config, enum zks_setting setting);

/* zks_config_is_used: false for an auth-file whose credentials are not used, because the servers come from an
 * earlier source than they do: those of a file are not for servers that the environment names.  True for all
 * else.  Since 0.1. */
ZKS_EXPORT bool zks_config_is_used(const zks_config *config, enum zks_setting setting);

/* zks_config_file: the path of the n-th file that was looked for, from 0 on, and whether it exists; NULL
 * behind the last one.  `exists` may be NULL.  Since 0.1. */
ZKS_EXPORT const char *zks_config_file(const zks_config *config, size_t n, bool *exists);

/* zks_config_apply: sets those options that are not given: servers, root, and auth where they are NULL,
 * session_timeout_ms where it is 0 and connect_timeout_ms where it is ZKS_DEFAULT.  Credentials that are not
 * used (zks_config_is_used()) are left out; if `servers` is given, all are.  The strings belong to the config,
 * which must live until zks_client_open() has returned.  Since 0.1. */
ZKS_EXPORT void zks_config_apply(const zks_config *config, zks_client_options *options);

/* zks_parse_duration: "10" (seconds), "1.5", "250ms", "2m", "1h" or "1d" in ms, "forever" as ZKS_FOREVER.
 * A value above 0 is never rounded to 0.  False, and *ms is not touched, for anything else.  Since 0.1. */
ZKS_EXPORT bool zks_parse_duration(const char *text, int64_t *ms);

/* zks_read_private: reads the first line of a file that holds a secret, without its newline.  A regular file for
 * which group or others have any permission is refused, as ssh does.  False, and the reason in `why`, cut
 * off where it does not fit; `line` then holds nothing.  Since 0.1. */
ZKS_EXPORT bool zks_read_private(const char *path, char *line, size_t size, char *why,
                                 size_t why_size);

#ifdef __cplusplus
}
#endif
#endif
