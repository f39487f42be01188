/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is looked at just before each of the journal's calls, as it would be if all ended there, and on
 * which each call can fail.  Linked in with --wrap, so the journal knows nothing of it. */
#ifndef ZKS_TEST_JOURNAL_DISK_H
#define ZKS_TEST_JOURNAL_DISK_H

#include "journal_box.h"

/* What the linker has to wrap: pwrite pread fsync fdatasync ftruncate openat renameat unlinkat. */

enum { DISK_FILES = 256, DISK_NAMES = 64, DISK_PAGES = 1024 };

struct disk_bytes {
    unsigned char *at; /* NULL for none. */
    size_t len;
};

struct disk_file {
    unsigned long inode; /* 0 once it has no name. */
    struct disk_bytes durable;
    bool lost
        [DISK_PAGES]; /* Pages that a sync could not write, and that look as if they were written. */
    struct disk_bytes last; /* What was in it when it lost its name. */
};

/* The names there are, and whose they are. */
struct disk_names {
    struct {
        char name[64];
        size_t file;
    } at[IMAGE_FILES];
    size_t n;
};

struct disk {
    char folder[128];
    struct disk *outer;
    struct disk_file files[DISK_FILES];
    size_t n_files;
    struct disk_names
        names[DISK_NAMES]; /* [0] is durable, the others came after it in this order. */
    size_t n_names;

    size_t calls;
    size_t fail_at;     /* This call fails; 0 for none. */
    int error;          /* With this; where it is 0, writes and reads are short instead. */
    const char *failed; /* Which call it was. */
    size_t
        kill_at; /* Before this call, and in the middle of it where it writes, `before` is called. */
    void (*before)(void *arg); /* Before each, where `kill_at` is 0. */
    void *arg;
};

/* disk_watch: from now on; what is in the folder is durable.  The folder may not be there yet.  disk_leave: what
 * was watched before is watched again. */
void disk_watch(struct disk *d, const char *folder, void (*before)(void *arg), void *arg);
void disk_leave(struct disk *d);

/* disk_pause: nothing is watched until disk_resume(). */
struct disk *disk_pause(void);
void disk_resume(struct disk *d);

/* disk_lose: the folder as it may be when the power fails now. */
void disk_lose(struct disk *d, struct image *image, uint64_t *seed);

#endif
