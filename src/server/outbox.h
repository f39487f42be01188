/* SPDX-License-Identifier: Apache-2.0 */
/* What a client has not been sent yet.  It is kept in pieces, each of which is freed once it has gone, so
 * that a client that lags behind costs what it has not read, however much it has read before. */
#ifndef ZKS_SERVER_OUTBOX_H
#define ZKS_SERVER_OUTBOX_H

#include "codec.h"

struct zks__outbox_piece;

/* All zeros but for the memory of `open` is an empty one. */
struct zks__outbox {
    struct zks__writer open; /* The last piece, where frames are put. */
    size_t open_replies;
    struct zks__outbox_piece *first; /* Those before it. */
    struct zks__outbox_piece *last;
    size_t closed;  /* Bytes in those before it. */
    size_t sent;    /* Of the piece that goes next. */
    size_t replies; /* In all pieces. */
};

/* zks__outbox_close: drops what is there; it may be used again. */
void zks__outbox_close(struct zks__outbox *o);

/* zks__outbox_begin: before a frame is put into `open`: begins another piece where that one is long. */
void zks__outbox_begin(struct zks__outbox *o);

/* zks__outbox_reply: the frame that was put last is a reply; it counts until its piece has gone. */
void zks__outbox_reply(struct zks__outbox *o);

/* zks__outbox_unsent: how many bytes have not gone. */
size_t zks__outbox_unsent(const struct zks__outbox *o);

/* zks__outbox_next: the bytes to send next, of which there may be more behind; NULL for none.
 * zks__outbox_sent: so many of them have gone. */
const unsigned char *zks__outbox_next(const struct zks__outbox *o, size_t *len);
void zks__outbox_sent(struct zks__outbox *o, size_t len);

#endif
