/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <string.h>

enum { PIECE = 64 << 10 };

struct zks__outbox_piece {
    struct zks__outbox_piece *next;
    size_t len;
    size_t replies;
    unsigned char bytes[];
};

static void drop_first(struct zks__outbox *o)
{
    struct zks__outbox_piece *piece = o->first;
    o->first = piece->next;
    o->closed -= piece->len;
    o->replies -= piece->replies;
    o->sent = 0;
    zks__mem_free(o->open.mem, piece);
}

static void drop_open(struct zks__outbox *o)
{
    zks__writer_close(&o->open); /* A thousand idle clients need none. */
    o->replies -= o->open_replies;
    o->open_replies = 0;
    o->sent = 0;
}

void zks__outbox_close(struct zks__outbox *o)
{
    while (o->first != NULL) {
        drop_first(o);
    }
    drop_open(o);
}

/* The copy is as long as what is left to send; `open` keeps its room for the next piece.  Without memory
 * for the copy it goes on growing. */
void zks__outbox_begin(struct zks__outbox *o)
{
    size_t gone = o->first == NULL ? o->sent : 0;
    if (o->open.failed || o->open.len < PIECE) {
        return;
    }
    struct zks__outbox_piece *piece =
        zks__mem_alloc(o->open.mem, sizeof *piece + (o->open.len - gone));
    if (piece == NULL) {
        return;
    }
    *piece = (struct zks__outbox_piece){.len = o->open.len - gone, .replies = o->open_replies};
    memcpy(piece->bytes, o->open.bytes + gone, piece->len);
    *(o->first != NULL ? &o->last->next : &o->first) = piece;
    o->last = piece;
    o->closed += piece->len;
    o->sent -= gone;
    o->open_replies = 0;
    o->open.len = 0;
    if (o->open.size > (size_t)2 * PIECE) {
        zks__writer_close(&o->open);
    }
}

void zks__outbox_reply(struct zks__outbox *o)
{
    o->open_replies++;
    o->replies++;
}

size_t zks__outbox_unsent(const struct zks__outbox *o)
{
    return o->closed + o->open.len - o->sent;
}

const unsigned char *zks__outbox_next(const struct zks__outbox *o, size_t *len)
{
    size_t there = o->first != NULL ? o->first->len : o->open.len;
    *len = there - o->sent;
    if (*len == 0) {
        return NULL;
    }
    return (o->first != NULL ? o->first->bytes : o->open.bytes) + o->sent;
}

void zks__outbox_sent(struct zks__outbox *o, size_t len)
{
    o->sent += len;
    if (o->first != NULL && o->sent == o->first->len) {
        drop_first(o);
    } else if (o->first == NULL && o->sent == o->open.len) {
        drop_open(o);
    }
}
