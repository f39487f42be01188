/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

void zks__figures_answered(struct zks__figures *f, uint64_t n, uint64_t ms)
{
    if (n == 0) {
        return;
    }
    f->min_ms = f->answered == 0 || ms < f->min_ms ? ms : f->min_ms;
    f->max_ms = ms > f->max_ms ? ms : f->max_ms;
    f->last_ms = ms;
    f->answered += n;
    f->total_ms += n * ms;
}

/* Java writes a number with at least one digit behind the point, and with no zeros at the end. */
void zks__figures_average(const struct zks__figures *f, char text[ZKS__AVERAGE_SIZE])
{
    enum { PARTS = 10000 };
    uint64_t n = f->answered > 0 ? f->answered : 1;
    uint64_t whole = f->total_ms / n;
    uint64_t parts = (f->total_ms % n * PARTS + n / 2) / n;
    int len = snprintf(text, ZKS__AVERAGE_SIZE, "%" PRIu64 ".%04" PRIu64, whole + parts / PARTS,
                       parts % PARTS);
    while (text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = '\0';
    }
}

void zks__figures_descriptors(uint64_t *open, uint64_t *most)
{
    struct rlimit limit = {0, 0};
    DIR *dir = opendir("/proc/self/fd");
    *open = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        ++*open;
    }
    if (dir != NULL) {
        (void)closedir(dir);
        *open -= 3; /* ".", ".." and the one that was opened to look. */
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    *most = limit.rlim_cur;
}
