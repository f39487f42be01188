/* SPDX-License-Identifier: Apache-2.0 */
/* A settings file: whether it may be trusted, and its lines. */
#ifndef ZKS_CONFIG_FILE_H
#define ZKS_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* zks__config_fail: puts a sentence into `why`; false. */
bool zks__config_fail(char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Called for each setting.  False ends the reading, and `why` then says what is wrong with the line. */
typedef bool (*zks__config_line_cb)(const char *name, const char *value, unsigned line, void *arg,
                                    char *why, size_t why_size);

/* zks__config_read: reads the file, which must be of the user `owner` or root's.  *exists says whether it is
 * there; one that is not is no failure.  False where the file or a line of it is not valid: `why` is then a
 * sentence that names the file. */
bool zks__config_read(const char *path, uid_t owner, zks__config_line_cb take, void *arg,
                      bool *exists, char *why, size_t why_size);

#endif
