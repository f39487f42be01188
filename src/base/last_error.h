/* SPDX-License-Identifier: Apache-2.0 */
/* What zks_last_error() returns: one sentence per thread, about the last public call that failed on it.
 *
 * A public function that can fail ends in zks__error() or, if a function that it calls may have set a
 * sentence of its own, is enclosed in zks__error_begin() and zks__error_end().  Either way no call that
 * fails leaves the sentence of an earlier one. */
#ifndef ZKS_BASE_LAST_ERROR_H
#define ZKS_BASE_LAST_ERROR_H

enum { ZKS__ERROR_MAX = 1024 }; /* Longer sentences are cut off. */

/* zks__error_begin: no sentence is known for the call that begins here. */
void zks__error_begin(void);

/* zks__error_set: sets the sentence; returns `error`.  A leading "zksync: ", as log lines have it, is
 * left out. */
int zks__error_set(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* zks__error_end: returns `error`.  If it is one, and no sentence has been set since the begin, the
 * sentence becomes that of zks_strerror(). */
int zks__error_end(int error);

/* zks__error: begin and end, for a call of which no more is known than the error. */
int zks__error(int error);

#endif
