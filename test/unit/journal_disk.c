/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, PAGE = 4096 };

static struct disk *disk;

/* ---- What is there ---- */

static struct disk_bytes read_fd(int fd)
{
    struct stat info;
    struct disk_bytes b;
    assert_int_equal(fstat(fd, &info), 0);
    b.len = (size_t)info.st_size;
    b.at = malloc(b.len + 1);
    assert_non_null(b.at);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(read(fd, b.at, b.len), (ssize_t)b.len);
    return b;
}

static struct disk_bytes read_name(const struct disk *d, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", d->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct disk_bytes b = read_fd(fd);
    (void)close(fd);
    return b;
}

static void keep(struct disk_bytes *to, struct disk_bytes b)
{
    free(to->at);
    *to = b;
}

static size_t file_of(struct disk *d, unsigned long inode)
{
    size_t i = 0;
    while (i < d->n_files && d->files[i].inode != inode) {
        i++;
    }
    if (i == d->n_files) {
        assert_true(i < DISK_FILES);
        memset(&d->files[i], 0, sizeof d->files[i]);
        d->files[i].inode = inode;
        d->n_files++;
    }
    return i;
}

/* The names as they are now, which may become durable. */
static void look(struct disk *d)
{
    DIR *dir = opendir(d->folder);
    const struct dirent *entry;
    assert_true(d->n_names < DISK_NAMES);
    struct disk_names *names = &d->names[d->n_names++];
    names->n = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0) {
            continue;
        }
        assert_true(names->n < IMAGE_FILES);
        (void)snprintf(names->at[names->n].name, sizeof names->at[0].name, "%.60s", entry->d_name);
        names->at[names->n++].file = file_of(d, entry->d_ino);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

void disk_watch(struct disk *d, const char *folder, void (*before)(void *arg), void *arg)
{
    memset(d, 0, sizeof *d);
    (void)snprintf(d->folder, sizeof d->folder, "%s", folder);
    d->before = before;
    d->arg = arg;
    look(d);
    for (size_t i = 0; i < d->names[0].n; i++) {
        keep(&d->files[d->names[0].at[i].file].durable, read_name(d, d->names[0].at[i].name));
    }
    d->outer = disk;
    disk = d;
}

void disk_leave(struct disk *d)
{
    assert_ptr_equal(disk, d);
    disk = d->outer;
    for (size_t i = 0; i < d->n_files; i++) {
        free(d->files[i].durable.at);
        free(d->files[i].last.at);
    }
}

struct disk *disk_pause(void)
{
    struct disk *d = disk;
    disk = NULL;
    return d;
}

void disk_resume(struct disk *d)
{
    disk = d;
}

/* ---- Power failure ---- */

/* What is not durable may be there or not, sector by sector. */
static void mix(struct image *image, const char *name, struct disk_bytes durable,
                struct disk_bytes present, uint64_t *seed)
{
    uint32_t how = unit_below(seed, 4);
    struct disk_bytes whole = how == 0 ? durable : present;
    if (how < 2) {
        image_add(image, name, whole.at, whole.len);
        return;
    }
    size_t len = unit_below(seed, 2) > 0 ? present.len : durable.len;
    unsigned char *bytes = calloc(1, len + 1);
    assert_non_null(bytes);
    for (size_t at = 0; at < len; at += SECTOR) {
        size_t n = len - at < SECTOR ? len - at : SECTOR;
        struct disk_bytes from = unit_below(seed, 2) > 0 ? present : durable;
        if (at < from.len) {
            memcpy(bytes + at, from.at + at, from.len - at < n ? from.len - at : n);
        }
    }
    image_add(image, name, bytes, len);
    free(bytes);
}

void disk_lose(struct disk *d, struct image *image, uint64_t *seed)
{
    const struct disk_names *now;
    look(d);
    now = &d->names[--d->n_names];
    const struct disk_names *then = &d->names[unit_below(seed, (uint32_t)d->n_names)];
    image->n = 0;
    for (size_t i = 0; i < then->n; i++) {
        struct disk_file *f = &d->files[then->at[i].file];
        struct disk_bytes present = f->last;
        bool mine = false;
        for (size_t k = 0; k < now->n && !mine; k++) {
            if (now->at[k].file == then->at[i].file) {
                present = read_name(d, now->at[k].name);
                mine = true;
            }
        }
        mix(image, then->at[i].name, f->durable, present, seed);
        if (mine) {
            free(present.at);
        }
    }
}

/* ---- The calls ---- */

enum verdict { GO, SHORT, FAIL, KILL };

static enum verdict enter(const char *call)
{
    struct disk *d = disk;
    if (d == NULL) {
        return GO;
    }
    d->calls++;
    if (d->before != NULL && d->kill_at == 0) {
        disk = NULL;
        d->before(d->arg);
        disk = d;
    }
    if (d->kill_at > 0 && d->kill_at == d->calls) {
        if (strcmp(call, "pwrite") == 0) {
            return KILL;
        }
        d->before(d->arg);
    }
    if (d->calls != d->fail_at) {
        return GO;
    }
    d->failed = call;
    errno = d->error;
    return d->error != 0 ? FAIL : SHORT;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __real_pread(int fd, void *bytes, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __real_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_openat(int dir, const char *path, int flags, mode_t mode);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);

static struct disk_bytes read_again(int fd)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(again >= 0);
    struct disk_bytes b = read_fd(again);
    (void)close(again);
    return b;
}

/* A part of a page that is on the disk; zeros where there is none. */
static void old_part(const struct disk_file *f, size_t at, unsigned char *to, size_t len)
{
    size_t there = at < f->durable.len ? f->durable.len - at : 0;
    memset(to, 0, len);
    if (there > 0) {
        memcpy(to, f->durable.at + at, there < len ? there : len);
    }
}

/* A sync that fails has made nothing durable, and what it was for looks as if it were written: no later one
 * writes it, until it is written to again. */
static int after_failure(int fd)
{
    struct stat info;
    unsigned char page[PAGE];
    int error = errno;
    if (disk == NULL || error == EINTR) {
        return -1; /* A signal has broken it off, which harms nothing. */
    }
    assert_int_equal(fstat(fd, &info), 0);
    if (!S_ISDIR(info.st_mode)) {
        struct disk_file *f = &disk->files[file_of(disk, info.st_ino)];
        struct disk_bytes now = read_again(fd);
        for (size_t at = 0; at < now.len; at += PAGE) {
            size_t len = now.len - at < PAGE ? now.len - at : PAGE;
            old_part(f, at, page, len);
            assert_true(at / PAGE < DISK_PAGES);
            f->lost[at / PAGE] |= memcmp(now.at + at, page, len) != 0;
        }
        free(now.at);
    }
    errno = error;
    return -1;
}

static void after_write(int fd, off_t at, ssize_t n)
{
    struct stat info;
    int error = errno;
    if (disk != NULL && n > 0 && fstat(fd, &info) == 0) {
        struct disk_file *f = &disk->files[file_of(disk, info.st_ino)];
        for (size_t page = (size_t)at / PAGE; page <= (size_t)(at + n - 1) / PAGE; page++) {
            assert_true(page < DISK_PAGES);
            f->lost[page] = false;
        }
    }
    errno = error;
}

/* One that fails has written a part. */
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    enum verdict v = enter("pwrite");
    int error = errno;
    ssize_t n = __real_pwrite(fd, bytes, v == GO || len < 2 ? len : len / 2, at);
    after_write(fd, at, n);
    if (v == KILL) {
        disk->before(disk->arg);
    }
    errno = v == FAIL ? error : errno;
    return v == FAIL ? -1 : n;
}

ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at)
{
    enum verdict v = enter("pread");
    return v == FAIL ? -1 : __real_pread(fd, bytes, v == GO || len < 2 ? len : len / 2, at);
}

static int after_sync(int fd)
{
    struct stat info;
    if (disk == NULL) {
        return 0;
    }
    assert_int_equal(fstat(fd, &info), 0);
    if (!S_ISDIR(info.st_mode)) {
        struct disk_file *f = &disk->files[file_of(disk, info.st_ino)];
        struct disk_bytes now = read_again(fd);
        for (size_t at = 0; at < now.len; at += PAGE) {
            if (f->lost[at / PAGE]) {
                old_part(f, at, now.at + at, now.len - at < PAGE ? now.len - at : PAGE);
            }
        }
        keep(&f->durable, now);
    } else {
        struct stat mine;
        if (stat(disk->folder, &mine) == 0 && mine.st_ino == info.st_ino) {
            disk->n_names = 0;
            look(disk);
        }
    }
    return 0;
}

int __wrap_fsync(int fd)
{
    if (enter("fsync") == FAIL) {
        return after_failure(fd);
    }
    int rc = __real_fsync(fd);
    return rc == 0 ? after_sync(fd) : rc;
}

int __wrap_fdatasync(int fd)
{
    if (enter("fdatasync") == FAIL) {
        return after_failure(fd);
    }
    int rc = __real_fdatasync(fd);
    return rc == 0 ? after_sync(fd) : rc;
}

int __wrap_ftruncate(int fd, off_t len)
{
    return enter("ftruncate") == FAIL ? -1 : __real_ftruncate(fd, len);
}

int __wrap_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (enter("openat") == FAIL) {
        return -1;
    }
    int fd = __real_openat(dir, path, flags, (flags & O_CREAT) != 0 ? mode : 0);
    if (disk != NULL && fd >= 0 && (flags & O_CREAT) != 0 && strcmp(path, "lock") != 0) {
        look(disk);
    }
    return fd;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (enter("renameat") == FAIL) {
        return -1;
    }
    int rc = __real_renameat(from_dir, from, to_dir, to);
    if (disk != NULL && rc == 0) {
        look(disk);
    }
    return rc;
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
    struct disk_file *f = NULL;
    struct stat info;
    if (enter("unlinkat") == FAIL) {
        return -1;
    }
    if (disk != NULL && fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        f = &disk->files[file_of(disk, info.st_ino)];
        keep(&f->last, read_name(disk, path));
    }
    int rc = __real_unlinkat(dir, path, flags);
    if (f != NULL && rc == 0) {
        f->inode = 0;
        look(disk);
    }
    return rc;
}
