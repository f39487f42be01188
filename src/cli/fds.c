/* SPDX-License-Identifier: Apache-2.0 */
#include "fds.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOTED_MAX = 4096 };

static int noted[NOTED_MAX]; /* Sorted. */
static size_t n_noted;

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static bool is_noted(int fd)
{
    return bsearch(&fd, noted, n_noted, sizeof noted[0], by_number) != NULL;
}

static void note_all(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(dir) && n_noted < NOTED_MAX) {
            noted[n_noted++] = fd;
        }
    }
    if (dir != NULL) {
        closedir(dir);
        return;
    }
    for (int fd = 0; fd < NOTED_MAX; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            noted[n_noted++] = fd;
        }
    }
}

void cli_fds_note(void)
{
    note_all();
    qsort(noted, n_noted, sizeof noted[0], by_number);
    for (int fd = 0; fd <= 2; fd++) {
        if (!is_noted(fd)) {
            (void)!open("/dev/null", O_RDWR); /* It takes the lowest number that is free. */
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
