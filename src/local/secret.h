/* SPDX-License-Identifier: Apache-2.0 */
/* The file secret: what a client of the local server presents. */
#ifndef ZKS_LOCAL_SECRET_H
#define ZKS_LOCAL_SECRET_H

#include "local/place.h"

enum { ZKS__SECRET_BYTES = 32, ZKS__SECRET_SIZE = 2 * 32 + 1 };

/* zks__secret_read: 0, ZKS_EACCES, ZKS_ESYSTEM, or ZKS__NONE, which is not logged.
 * zks__secret_make: the same, but makes one where there is none. */
int zks__secret_read(const struct zks__place *p, char secret[ZKS__SECRET_SIZE]);
int zks__secret_make(const struct zks__place *p, char secret[ZKS__SECRET_SIZE]);

#endif
