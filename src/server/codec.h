/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's encoding, on the wire and in the journal: big-endian numbers, and texts, data and lists behind their length, where -1 stands
 * for none. */
#ifndef ZKS_SERVER_CODEC_H
#define ZKS_SERVER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tree/tree.h"

/* What is left to read of a frame.  After the first thing that is not as it must be `bad` is true, and all
 * that is read from then on is 0, empty or NULL. */
struct zks__reader {
    unsigned char *at;
    unsigned char *end;
    bool bad;
};

/* zks__encode, zks__decode: a number of `len` bytes. */
void zks__encode(unsigned char *to, uint64_t number, size_t len);
uint64_t zks__decode(const unsigned char *from, size_t len);

uint8_t zks__read_byte(struct zks__reader *r);
int32_t zks__read_int(struct zks__reader *r);
int64_t zks__read_long(struct zks__reader *r);
bool zks__read_bool(struct zks__reader *r);

/* zks__read_bytes: as many as that; NULL where they are not there. */
const void *zks__read_bytes(struct zks__reader *r, size_t len);

/* zks__read_data: what stays in the frame; NULL for none. */
const void *zks__read_data(struct zks__reader *r, size_t *len);

/* zks__read_text: a text that stays in the frame, moved onto its length to make room for a zero byte at its
 * end.  None is bad; for one with a zero byte inside there is another one that no path and no id is like,
 * so that it is refused where it is used.  zks__read_text_or_null: None is NULL. */
const char *zks__read_text(struct zks__reader *r);
const char *zks__read_text_or_null(struct zks__reader *r);

/* zks__read_count: how many entries of at least `least` bytes each follow; 0 for none. */
size_t zks__read_count(struct zks__reader *r, size_t least);

/* Bytes that grow, in the system's memory where `mem` is NULL.  Where there was none once `failed` stays true,
 * nothing is put any more, and what is there is of no use. */
struct zks__writer {
    const struct zks__mem *mem;
    unsigned char *bytes;
    size_t len;
    size_t size;
    bool failed;
};

/* zks__writer_close: lets go of what is there; it may be used again. */
void zks__writer_close(struct zks__writer *w);

/* zks__writer_room: at least so much room behind what is there; NULL where there is no memory. */
unsigned char *zks__writer_room(struct zks__writer *w, size_t more);

void zks__put_byte(struct zks__writer *w, uint8_t value);
void zks__put_int(struct zks__writer *w, int32_t value);
void zks__put_long(struct zks__writer *w, int64_t value);
void zks__put_bool(struct zks__writer *w, bool value);
void zks__put_bytes(struct zks__writer *w, const void *bytes, size_t len);
void zks__put_data(struct zks__writer *w, const void *data, size_t len); /* NULL for none. */
void zks__put_text(struct zks__writer *w, const char *text);
void zks__put_stat(struct zks__writer *w, const struct zks__znode_stat *stat);

/* zks__set_int: writes over what is there. */
void zks__set_int(struct zks__writer *w, size_t at, int32_t value);

#endif
