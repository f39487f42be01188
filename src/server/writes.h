/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_SERVER_WRITES_H
#define ZKS_SERVER_WRITES_H

#include "peer.h"

/* zks__is_write: whether a request uses up a zxid, whatever becomes of it. */
bool zks__is_write(int32_t opcode);

/* zks__write_request: carries it out and replies. */
void zks__write_request(struct zks__peer *p, const struct zks__who *who, int32_t xid,
                        int32_t opcode, struct zks__reader *r);

#endif
