/* SPDX-License-Identifier: Apache-2.0 */
#include "fds.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOKED_AT = 4096 }; /* Where /proc does not tell. */

static int *noted; /* Sorted.  It lives as long as the program. */
static size_t n_noted;
static size_t room;

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static bool is_noted(int fd)
{
    return n_noted > 0 && bsearch(&fd, noted, n_noted, sizeof noted[0], by_number) != NULL;
}

static void note(int fd)
{
    if (n_noted == room) {
        size_t more = room * 2 + 64;
        int *grown = realloc(noted, more * sizeof *noted);
        if (grown == NULL) {
            return;
        }
        noted = grown;
        room = more;
    }
    noted[n_noted++] = fd;
}

static void note_all(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(dir)) {
            note(fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
        return;
    }
    for (int fd = 0; fd < LOOKED_AT; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            note(fd);
        }
    }
}

void cli_fds_note(void)
{
    note_all();
    if (n_noted > 0) {
        qsort(noted, n_noted, sizeof noted[0], by_number);
    }
    for (int fd = 0; fd <= 2; fd++) {
        if (!is_noted(fd)) {
            /* It takes the lowest number that is free.  What is written to a closed output must fail. */
            (void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
        }
    }
}

/* After fork() in a program with threads: nothing here takes a lock. */
void cli_fds_close_ours(int keep, int also)
{
    int from = 0;
    for (size_t i = 0; i <= n_noted; i++) {
        int to = i < n_noted ? noted[i] : -1; /* The next one that stays. */
        bool keep_next = keep >= from && (to < 0 || keep < to);
        if (keep_next && keep > from) {
            close_range((unsigned)from, (unsigned)keep - 1, 0);
        }
        if (keep_next) {
            from = keep + 1;
        }
        if (to < 0) {
            close_range((unsigned)from, ~0U, 0);
        } else if (to > from) {
            close_range((unsigned)from, (unsigned)to - 1, 0);
        }
        from = to + 1;
    }
    if (also > STDERR_FILENO) {
        close(also);
    }
}

void cli_fds_close_given(int keep)
{
    for (size_t i = 0; i < n_noted; i++) {
        if (noted[i] > STDERR_FILENO && noted[i] != keep) {
            close(noted[i]);
        }
    }
}

bool cli_fds_null(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool ok = null >= 0 && dup2(null, fd) >= 0;
    if (null >= 0) {
        close(null);
    }
    return ok;
}
