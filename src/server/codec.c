/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 512 };

/* ---- Reading ---- */

/* The next bytes, or NULL. */
static unsigned char *take(struct zks__reader *r, size_t len)
{
    unsigned char *at = r->at;
    if (r->bad || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return NULL;
    }
    r->at += len;
    return at;
}

void zks__encode(unsigned char *to, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = (unsigned char)(number >> (8 * (len - 1 - i)));
    }
}

uint64_t zks__decode(const unsigned char *from, size_t len)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        number = number << 8 | from[i];
    }
    return number;
}

static uint64_t read_number(struct zks__reader *r, size_t len)
{
    const unsigned char *at = take(r, len);
    return at != NULL ? zks__decode(at, len) : 0;
}

const void *zks__read_bytes(struct zks__reader *r, size_t len)
{
    return take(r, len);
}

uint8_t zks__read_byte(struct zks__reader *r)
{
    return (uint8_t)read_number(r, 1);
}

int32_t zks__read_int(struct zks__reader *r)
{
    return (int32_t)(uint32_t)read_number(r, 4);
}

int64_t zks__read_long(struct zks__reader *r)
{
    return (int64_t)read_number(r, 8);
}

bool zks__read_bool(struct zks__reader *r)
{
    return zks__read_byte(r) != 0;
}

static unsigned char *read_piece(struct zks__reader *r, size_t *len)
{
    int32_t n = zks__read_int(r);
    *len = 0;
    if (n < 0) {
        r->bad = r->bad || n != -1;
        return NULL;
    }
    unsigned char *at = take(r, (size_t)n);
    *len = at != NULL ? (size_t)n : 0;
    return at;
}

const void *zks__read_data(struct zks__reader *r, size_t *len)
{
    return read_piece(r, len);
}

const char *zks__read_text_or_null(struct zks__reader *r)
{
    size_t len;
    unsigned char *at = read_piece(r, &len);
    if (at == NULL) {
        return NULL;
    }
    if (memchr(at, '\0', len) != NULL) {
        return "\1";
    }
    memmove(at - 1, at, len);
    at[(ptrdiff_t)len - 1] = '\0';
    return (const char *)at - 1;
}

const char *zks__read_text(struct zks__reader *r)
{
    const char *text = zks__read_text_or_null(r);
    r->bad = r->bad || text == NULL;
    return text != NULL ? text : "";
}

size_t zks__read_count(struct zks__reader *r, size_t least)
{
    int32_t n = zks__read_int(r);
    if (n < -1 || (n > 0 && (size_t)n > (size_t)(r->end - r->at) / least)) {
        r->bad = true;
    }
    return r->bad || n < 0 ? 0 : (size_t)n;
}

/* ---- Writing ---- */

static void *get_memory(const struct zks__writer *w, size_t size)
{
    return w->mem != NULL ? zks__mem_alloc(w->mem, size) : malloc(size);
}

static void free_memory(const struct zks__writer *w)
{
    if (w->mem != NULL) {
        zks__mem_free(w->mem, w->bytes);
    } else {
        free(w->bytes);
    }
}

void zks__writer_close(struct zks__writer *w)
{
    free_memory(w);
    *w = (struct zks__writer){.mem = w->mem};
}

static void grow(struct zks__writer *w, size_t more)
{
    size_t size = w->size > FIRST_SIZE ? w->size : FIRST_SIZE;
    while (size - w->len < more && size <= SIZE_MAX / 2) {
        size *= 2;
    }
    unsigned char *bytes = size - w->len >= more ? get_memory(w, size) : NULL;
    if (bytes == NULL) {
        w->failed = true;
        return;
    }
    if (w->len > 0) {
        memcpy(bytes, w->bytes, w->len);
    }
    free_memory(w);
    w->bytes = bytes;
    w->size = size;
}

unsigned char *zks__writer_room(struct zks__writer *w, size_t more)
{
    if (!w->failed && (w->bytes == NULL || w->size - w->len < more)) {
        grow(w, more);
    }
    return w->failed ? NULL : w->bytes + w->len;
}

void zks__put_bytes(struct zks__writer *w, const void *bytes, size_t len)
{
    unsigned char *to = zks__writer_room(w, len);
    if (to != NULL && len > 0) {
        memcpy(to, bytes, len);
        w->len += len;
    }
}

static void put_number(struct zks__writer *w, uint64_t value, size_t len)
{
    unsigned char *to = zks__writer_room(w, len);
    if (to != NULL) {
        zks__encode(to, value, len);
        w->len += len;
    }
}

void zks__put_byte(struct zks__writer *w, uint8_t value)
{
    put_number(w, value, 1);
}

void zks__put_int(struct zks__writer *w, int32_t value)
{
    put_number(w, (uint32_t)value, 4);
}

void zks__put_long(struct zks__writer *w, int64_t value)
{
    put_number(w, (uint64_t)value, 8);
}

void zks__put_bool(struct zks__writer *w, bool value)
{
    zks__put_byte(w, value);
}

void zks__put_data(struct zks__writer *w, const void *data, size_t len)
{
    w->failed = w->failed || len > INT32_MAX;
    zks__put_int(w, data != NULL ? (int32_t)len : -1);
    zks__put_bytes(w, data, data != NULL ? len : 0);
}

void zks__put_text(struct zks__writer *w, const char *text)
{
    zks__put_data(w, text, strlen(text));
}

void zks__put_stat(struct zks__writer *w, const struct zks__znode_stat *stat)
{
    zks__put_long(w, stat->czxid);
    zks__put_long(w, stat->mzxid);
    zks__put_long(w, stat->ctime);
    zks__put_long(w, stat->mtime);
    zks__put_int(w, stat->version);
    zks__put_int(w, stat->cversion);
    zks__put_int(w, stat->aversion);
    zks__put_long(w, stat->ephemeral_owner);
    zks__put_int(w, stat->data_length);
    zks__put_int(w, stat->num_children);
    zks__put_long(w, stat->pzxid);
}

void zks__set_int(struct zks__writer *w, size_t at, int32_t value)
{
    if (!w->failed) {
        zks__encode(w->bytes + at, (uint32_t)value, 4);
    }
}
