/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    FORMAT = 1,
    HEADER_CRC = ZKS__HEADER_LEN - 4,
    ALIGN = 8,
    WINDOW = 1 << 20,
    /* How many zeros a log gets at a time.  A sync that need not make a new size or a new place on disk
     * durable is one write instead of several: bench/stores has the numbers. */
    CHUNK = 1 << 20
};

static const char magic[8] = "zksjrnl\n";
#define FRAME_MAGIC UINT32_C(0x5a6b4672)

/* ---- To write ---- */

static uint32_t checksum(uint32_t seed, const unsigned char *bytes, size_t len)
{
    return (uint32_t)crc32_z(seed, bytes, len);
}

static bool write_all(int fd, const unsigned char *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        bytes += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

void zks__file_abandon(struct zks__file *f)
{
    char name[ZKS__NAME_SIZE];
    zks__file_fresh_name(f->kind, f->zxid, name);
    zks__file_close(f);
    (void)unlinkat(f->store->folder, name, 0);
}

static void put_header(struct zks__file *f, unsigned char header[ZKS__HEADER_LEN], uint64_t drawn)
{
    memset(header, 0, ZKS__HEADER_LEN);
    memcpy(header, magic, sizeof magic);
    zks__encode(header + 8, FORMAT, 4);
    zks__encode(header + 12, f->kind, 4);
    zks__encode(header + 16, (uint64_t)f->zxid, 8);
    zks__encode(header + 24, f->first, 8);
    zks__encode(header + 32, drawn, 8);
    f->seed = checksum(0, header, HEADER_CRC);
    zks__encode(header + HEADER_CRC, f->seed, 4);
}

/* The seed for the frames is not the checksum, which is no more than the header says. */
static uint32_t seed_of(const unsigned char header[ZKS__HEADER_LEN])
{
    return checksum(FRAME_MAGIC, header, ZKS__HEADER_LEN);
}

int zks__file_create(struct zks__file *f, const struct zks__store *s, enum zks__file_kind kind,
                     int64_t zxid, uint64_t first, char why[ZKS__WHY_SIZE])
{
    unsigned char header[ZKS__HEADER_LEN];
    char name[ZKS__NAME_SIZE];
    uint64_t drawn;
    *f = (struct zks__file){.store = s, .kind = kind, .zxid = zxid, .first = first};
    f->next = kind == ZKS__FILE_LOG ? first : 0;
    f->at = f->size = ZKS__HEADER_LEN;
    zks__file_name(kind, zxid, f->name);
    zks__file_fresh_name(f->kind, f->zxid, name);
    f->fd = openat(s->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0) {
        return zks__store_fails(s, name, "made", why);
    }
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
        int rc = zks__store_fails(s, name, "given a number", why);
        zks__file_abandon(f);
        return rc;
    }
    put_header(f, header, drawn);
    f->seed = seed_of(header);
    if (!write_all(f->fd, header, sizeof header, 0)) {
        int rc = zks__store_fails(s, name, "written", why);
        zks__file_abandon(f);
        return rc;
    }
    return 0;
}

int zks__file_publish(struct zks__file *f, bool *seen, char why[ZKS__WHY_SIZE])
{
    char name[ZKS__NAME_SIZE];
    const struct zks__store *s = f->store;
    zks__file_fresh_name(f->kind, f->zxid, name);
    *seen = false;
    if (!zks__sync_file(f->fd)) {
        int rc = zks__store_fails(s, name, "synced", why);
        zks__file_abandon(f);
        return rc;
    }
    if (renameat(s->folder, name, s->folder, f->name) != 0) {
        int rc = zks__store_fails(s, name, "renamed", why);
        zks__file_abandon(f);
        return rc;
    }
    *seen = true;
    int rc = zks__store_sync(s, why);
    if (rc != 0) {
        zks__file_close(f);
    }
    return rc;
}

void zks__file_close(struct zks__file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    f->fd = -1;
}

/* A log that has run out of zeros gets more.  Where there is no room for them it goes without. */
static bool add_zeros(struct zks__file *f)
{
    static const unsigned char zeros[1 << 16];
    if (f->kind != ZKS__FILE_LOG || f->at <= f->size) {
        f->size = f->at > f->size ? f->at : f->size;
        return true;
    }
    uint64_t end = (f->at / CHUNK + 1) * CHUNK;
    f->size = f->at;
    while (f->size < end) {
        size_t n = end - f->size < sizeof zeros ? (size_t)(end - f->size) : sizeof zeros;
        if (!write_all(f->fd, zeros, n, f->size)) {
            return zks__is_full(errno);
        }
        f->size += n;
    }
    return true;
}

/* It holds at its place in this file alone, so that a copy of the file within itself is nothing either. */
static uint32_t head_checksum(const struct zks__file *f, const unsigned char *head, uint64_t where)
{
    unsigned char place[8];
    zks__encode(place, where, sizeof place);
    return checksum(checksum(f->seed, place, sizeof place), head + 8, ZKS__FRAME_HEAD - 8);
}

void zks__frame_begin(struct zks__writer *w)
{
    w->len = 0;
    if (zks__writer_room(w, ZKS__FRAME_HEAD) != NULL) {
        w->len = ZKS__FRAME_HEAD;
    }
}

int zks__file_append(struct zks__file *f, struct zks__writer *w, char why[ZKS__WHY_SIZE])
{
    static const unsigned char zeros[ALIGN];
    size_t len = w->len - ZKS__FRAME_HEAD;
    zks__put_bytes(w, zeros, (ALIGN - len % ALIGN) % ALIGN);
    if (w->failed) {
        return zks__store_no_memory(why);
    }
    unsigned char *head = w->bytes;
    memset(head, 0, ZKS__FRAME_HEAD);
    zks__encode(head, FRAME_MAGIC, 4);
    zks__encode(head + 8, f->next, 8);
    zks__encode(head + 16, len, 8);
    zks__encode(head + 24, checksum(f->seed, head + ZKS__FRAME_HEAD, w->len - ZKS__FRAME_HEAD), 4);
    zks__encode(head + 4, head_checksum(f, head, f->at), 4);
    if (!write_all(f->fd, w->bytes, w->len, f->at)) {
        return zks__store_fails(f->store, f->name, "written", why);
    }
    f->at += w->len;
    f->next++;
    return add_zeros(f) ? 0 : zks__store_fails(f->store, f->name, "written", why);
}

int zks__file_sync(struct zks__file *f, char why[ZKS__WHY_SIZE])
{
    return zks__sync_data(f->fd) ? 0 : zks__store_fails(f->store, f->name, "synced", why);
}

int zks__file_cut(struct zks__file *f, char why[ZKS__WHY_SIZE])
{
    int rc;
    do {
        rc = ftruncate(f->fd, (off_t)f->at);
    } while (rc != 0 && errno == EINTR);
    f->size = f->at;
    return rc == 0 ? 0 : zks__store_fails(f->store, f->name, "cut off", why);
}

/* ---- To read ---- */

/* How many bytes there are, up to `len`; SIZE_MAX where it fails. */
static size_t read_all(int fd, unsigned char *bytes, size_t len, uint64_t at)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, bytes + done, len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return SIZE_MAX;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return done;
}

int zks__file_rewrite(struct zks__file *f, uint64_t from, char why[ZKS__WHY_SIZE])
{
    unsigned char bytes[4096];
    while (from < f->at) {
        size_t len = f->at - from < sizeof bytes ? (size_t)(f->at - from) : sizeof bytes;
        if (read_all(f->fd, bytes, len, from) != len) {
            return zks__store_fails(f->store, f->name, "read", why);
        }
        if (!write_all(f->fd, bytes, len, from)) {
            return zks__store_fails(f->store, f->name, "written", why);
        }
        from += len;
    }
    return 0;
}

/* What these say of the first 48 bytes holds for all versions to come. */
static int check_header(struct zks__file *f, const unsigned char *h, size_t len,
                        char why[ZKS__WHY_SIZE])
{
    if (len < ZKS__HEADER_LEN) {
        return zks__store_damaged(f->store, f->name, len, "its beginning is missing", why);
    }
    if (memcmp(h, magic, sizeof magic) != 0 ||
        zks__decode(h + HEADER_CRC, 4) != checksum(0, h, HEADER_CRC)) {
        return zks__store_damaged(f->store, f->name, 0, "its beginning is not as it was written",
                                  why);
    }
    uint64_t format = zks__decode(h + 8, 4);
    if (format > FORMAT) {
        (void)snprintf(why, ZKS__WHY_SIZE,
                       "%.200s/%s was written by a later version of zksync (format %" PRIu64
                       ", this one knows up to %d); use that version, or another folder",
                       f->store->path, f->name, format, FORMAT);
        return ZKS__J_NEWER;
    }
    f->first = zks__decode(h + 24, 8);
    f->seed = seed_of(h);
    if (format != FORMAT || zks__decode(h + 12, 4) != f->kind ||
        zks__decode(h + 16, 8) != (uint64_t)f->zxid) {
        return zks__store_damaged(f->store, f->name, 8, "it is not what its name says", why);
    }
    return 0;
}

int zks__file_open(struct zks__file *f, const struct zks__store *s, enum zks__file_kind kind,
                   int64_t zxid, bool write, char why[ZKS__WHY_SIZE])
{
    unsigned char header[ZKS__HEADER_LEN];
    struct stat info;
    *f = (struct zks__file){.store = s, .kind = kind, .zxid = zxid, .at = ZKS__HEADER_LEN};
    zks__file_name(kind, zxid, f->name);
    f->fd = openat(s->folder, f->name,
                   (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (f->fd < 0) {
        return zks__store_fails(s, f->name, "opened", why);
    }
    size_t len = read_all(f->fd, header, sizeof header, 0);
    int rc = len == SIZE_MAX || fstat(f->fd, &info) != 0 ? zks__store_fails(s, f->name, "read", why)
                                                         : check_header(f, header, len, why);
    if (rc != 0) {
        zks__file_close(f);
        return rc;
    }
    f->size = (uint64_t)info.st_size;
    f->next = kind == ZKS__FILE_LOG ? f->first : 0;
    return 0;
}

/* The bytes there, which must be within the file; NULL where it fails. */
static unsigned char *look(struct zks__frames *r, uint64_t at, size_t len, char why[ZKS__WHY_SIZE])
{
    const struct zks__file *f = r->file;
    if (at >= r->window_at && at - r->window_at <= r->window_len &&
        len <= r->window_len - (size_t)(at - r->window_at)) {
        return r->window + (at - r->window_at);
    }
    if (r->window_size < len || r->window == NULL) {
        size_t size = len > WINDOW ? len : WINDOW;
        zks__frames_close(r);
        r->window = zks__mem_alloc(f->store->mem, size);
        if (r->window == NULL) {
            r->error = zks__store_no_memory(why);
            return NULL;
        }
        r->window_size = size;
    }
    r->window_at = at;
    r->window_len = 0;
    size_t n = read_all(f->fd, r->window, r->window_size, at);
    if (n == SIZE_MAX || n < len) {
        errno = n == SIZE_MAX ? errno : EIO;
        r->error = zks__store_fails(f->store, f->name, "read", why);
        return NULL;
    }
    r->window_len = n;
    return r->window;
}

static bool all_zeros(const unsigned char *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

struct head {
    uint64_t number;
    uint64_t len;
    uint32_t crc;
};

/* `where` in the file `at` is. */
static bool parse_head(const struct zks__file *f, const unsigned char *at, uint64_t where,
                       struct head *head)
{
    if (zks__decode(at, 4) != FRAME_MAGIC ||
        zks__decode(at + 4, 4) != head_checksum(f, at, where)) {
        return false;
    }
    head->number = zks__decode(at + 8, 8);
    head->len = zks__decode(at + 16, 8);
    head->crc = (uint32_t)zks__decode(at + 24, 4);
    return true;
}

static enum zks__frame rest(struct zks__frames *r, char why[ZKS__WHY_SIZE])
{
    const struct zks__file *f = r->file;
    for (uint64_t at = f->at; at < f->size;) {
        size_t n = f->size - at < WINDOW ? (size_t)(f->size - at) : WINDOW;
        const unsigned char *bytes = look(r, at, n, why);
        if (bytes == NULL) {
            return ZKS__FRAME_FAILED;
        }
        if (!all_zeros(bytes, n)) {
            return ZKS__FRAME_BAD;
        }
        at += n;
    }
    return ZKS__FRAME_NONE;
}

enum zks__frame zks__frames_next(struct zks__frames *r, unsigned char **bytes, size_t *len,
                                 char why[ZKS__WHY_SIZE])
{
    struct zks__file *f = r->file;
    struct head head;
    uint64_t there = f->size - f->at;
    if (there < ZKS__FRAME_HEAD) {
        return rest(r, why);
    }
    unsigned char *at = look(r, f->at, ZKS__FRAME_HEAD, why);
    if (at == NULL) {
        return ZKS__FRAME_FAILED;
    }
    if (all_zeros(at, ZKS__FRAME_HEAD)) {
        return rest(r, why);
    }
    if (!parse_head(f, at, f->at, &head) || head.number != f->next ||
        head.len > there - ZKS__FRAME_HEAD) {
        return ZKS__FRAME_BAD;
    }
    uint64_t padded = (head.len + ALIGN - 1) / ALIGN * ALIGN;
    if (padded > there - ZKS__FRAME_HEAD || padded > SIZE_MAX) {
        return ZKS__FRAME_BAD;
    }
    at = look(r, f->at + ZKS__FRAME_HEAD, (size_t)padded, why);
    if (at == NULL) {
        return ZKS__FRAME_FAILED;
    }
    if (checksum(f->seed, at, (size_t)padded) != head.crc) {
        return ZKS__FRAME_BAD;
    }
    f->at += ZKS__FRAME_HEAD + padded;
    f->next++;
    *bytes = at;
    *len = (size_t)head.len;
    return ZKS__FRAME_READ;
}

int zks__frames_later(struct zks__frames *r, bool *later, char why[ZKS__WHY_SIZE])
{
    const struct zks__file *f = r->file;
    struct head head;
    *later = false;
    for (uint64_t at = f->at; !*later && f->size - at >= ZKS__FRAME_HEAD; at += ALIGN) {
        const unsigned char *bytes = look(r, at, ZKS__FRAME_HEAD, why);
        if (bytes == NULL) {
            return r->error;
        }
        *later = parse_head(f, bytes, at, &head) && (head.number != f->next || at != f->at);
    }
    return 0;
}

void zks__frames_close(struct zks__frames *r)
{
    if (r->window != NULL) {
        zks__mem_free(r->file->store->mem, r->window);
    }
    r->window = NULL;
    r->window_len = r->window_size = 0;
}
