/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a journal: a header, and frames behind it.  A frame of a log is a batch of writes.
 *
 * A frame is a multiple of 8 bytes.  Its head has a checksum of its own, which depends on its place and on a
 * number that was drawn for the file and that no client knows, so nothing that a client writes looks like
 * a frame. */
#ifndef ZKS_SERVER_FRAME_H
#define ZKS_SERVER_FRAME_H

#include "codec.h"
#include "store.h"

/* ---- A file ---- */

enum { ZKS__HEADER_LEN = 48, ZKS__FRAME_HEAD = 32 };

struct zks__file {
    const struct zks__store *store;
    int fd; /* -1 for none. */
    enum zks__file_kind kind;
    char name[ZKS__NAME_SIZE];
    int64_t zxid;   /* In its name. */
    uint64_t first; /* The number of its first frame; of a snapshot, of the first one of the log. */
    uint64_t next;  /* That of the next frame. */
    uint32_t seed;  /* For its checksums. */
    uint64_t at;    /* Where the next frame is, or goes. */
    uint64_t size;  /* Of a log: up to where it has zeros.  Of one that is read: how large it is. */
};

/* zks__file_create: a new one with a header, which nobody sees before zks__file_publish() has made it
 * durable.  Both close it where they fail, and remove it unless `seen` says that it has its name: then it
 * may be there after a crash or not. */
int zks__file_create(struct zks__file *f, const struct zks__store *s, enum zks__file_kind kind,
                     int64_t zxid, uint64_t first, char why[ZKS__WHY_SIZE]);
int zks__file_publish(struct zks__file *f, bool *seen, char why[ZKS__WHY_SIZE]);

/* zks__file_abandon: closes and removes what is not published. */
void zks__file_abandon(struct zks__file *f);

/* zks__file_open: one that is there; to be written too where `write` is true. */
int zks__file_open(struct zks__file *f, const struct zks__store *s, enum zks__file_kind kind,
                   int64_t zxid, bool write, char why[ZKS__WHY_SIZE]);
void zks__file_close(struct zks__file *f);

/* zks__frame_begin: begins anew, with room for the head of a frame. */
void zks__frame_begin(struct zks__writer *w);

/* zks__file_append: makes a frame of bytes that begin with room for its head, and writes it.  Durable only
 * after zks__file_sync().  Nothing may be written after one of the two has failed. */
int zks__file_append(struct zks__file *f, struct zks__writer *w, char why[ZKS__WHY_SIZE]);
int zks__file_sync(struct zks__file *f, char why[ZKS__WHY_SIZE]);

/* zks__file_rewrite: writes what is there from `from` to the end of the last frame that was read once more.
 * When a sync has failed the system may take for written what is not, so that the next one leaves it. */
int zks__file_rewrite(struct zks__file *f, uint64_t from, char why[ZKS__WHY_SIZE]);

/* zks__file_cut: makes it end after the last frame that was read. */
int zks__file_cut(struct zks__file *f, char why[ZKS__WHY_SIZE]);

/* ---- To read frames ---- */

struct zks__frames {
    struct zks__file *file;
    unsigned char *window; /* Of the file; holds the frame. */
    uint64_t window_at;
    size_t window_len;
    size_t window_size;
    int error; /* An enum zks__journal_error, after ZKS__FRAME_FAILED. */
};

enum zks__frame {
    ZKS__FRAME_READ, /* `bytes` and `len`, until the next call; they may be changed. */
    ZKS__FRAME_NONE, /* Nothing but zeros comes. */
    ZKS__FRAME_BAD,  /* What comes is no whole frame. */
    ZKS__FRAME_FAILED
};

enum zks__frame zks__frames_next(struct zks__frames *r, unsigned char **bytes, size_t *len,
                                 char why[ZKS__WHY_SIZE]);

/* zks__frames_later: after ZKS__FRAME_BAD, whether the head of a later frame stands anywhere behind: then
 * the one that is bad had been written as a whole. */
int zks__frames_later(struct zks__frames *r, bool *later, char why[ZKS__WHY_SIZE]);
void zks__frames_close(struct zks__frames *r);

#endif
