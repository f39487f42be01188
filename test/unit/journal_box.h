/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the journal share: a folder, a tree that is kept in there, random writes to it, and copies
 * of the folder as it would be after a crash. */
#ifndef ZKS_TEST_JOURNAL_BOX_H
#define ZKS_TEST_JOURNAL_BOX_H

#include <pthread.h>

#include "server/journal.h"
#include "tree_dump.h"

/* ---- Memory that several threads may ask for ---- */

struct pool {
    struct zks__mem mem;
    pthread_mutex_t lock;
    size_t blocks;
    size_t asked;
    size_t fail_at; /* The number of the request that is refused; 0 for none. */
};

void pool_init(struct pool *pool);

/* ---- Threads ---- */

/* When a snapshot is made: within the sync that begins it; when box_catch_up() is called; on a thread. */
enum box_pace { BOX_AT_ONCE, BOX_LATER, BOX_THREAD };
extern enum box_pace box_pace;
void box_catch_up(void);

/* ---- The files of a folder ---- */

enum { IMAGE_FILES = 32, ZEROS = 600 };

struct image_file {
    char name[64];
    unsigned char *bytes;
    size_t len;
};

struct image {
    struct image_file files[IMAGE_FILES];
    size_t n;
};

void image_add(struct image *image, const char *name, const unsigned char *bytes, size_t len);
void image_take(struct image *image, const char *folder);

/* image_put: makes the folder, with these files and no others. */
void image_put(const struct image *image, const char *folder);
void image_free(struct image *image);

/* image_find: the last file, by name, that begins so. */
struct image_file *image_find(struct image *image, const char *prefix);

/* folder_make: a path of a new folder, which is not there yet, in one of the test's own.  folder_remove: it
 * and what is in it. */
void folder_make(char path[128], const char *name);
void folder_remove(const char *path);

/* ---- A tree and its journal ---- */

struct box {
    struct garden g;
    struct pool pool;
    struct zks__journal *journal;
    char why[ZKS__WHY_SIZE];
    pthread_mutex_t lock;
    struct text told;
};

/* box_try: an enum zks__journal_error; the box is to be closed in any case. */
int box_try(struct box *b, const char *folder, size_t compact_bytes);
void box_open(struct box *b, const char *folder, size_t compact_bytes);
void box_close(struct box *b);

/* box_do, box_multi: as the server does it, carried out and appended.  Return whether they succeeded. */
bool box_do(struct box *b, const struct zks__who *who, struct zks__op op);
bool box_multi(struct box *b, const struct zks__who *who, const struct zks__op *ops, size_t n);
void box_begin_session(struct box *b, int64_t id);
void box_end_session(struct box *b, int64_t id);

/* box_random: a write or the beginning or end of a session. */
void box_random(struct box *b, uint64_t *seed);
void box_sync(struct box *b);

/* box_state: all of the tree, in an order that does not depend on how it came about. */
void box_state(struct box *b, struct text *state);

/* ---- What a tree was like after each batch ---- */

enum { STATES = 512 };

struct states {
    struct text at[STATES];
    size_t n;
};

void states_add(struct states *states, struct box *b);
void states_free(struct states *states);

/* states_find: which it is, from `from` on; fails where it is none of these. */
size_t states_find(const struct states *states, size_t from, size_t to, struct box *b);

#endif
