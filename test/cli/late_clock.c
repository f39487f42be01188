/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: the process that the user started stands still whenever it is about to read its clock, from when
 * the file that ZKSYNC_TEST_STALL names is there until it is gone.  That it does is said by another file, with
 * ".stalled" behind the name. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

uint64_t zks_clock_ms(void);

static int is_keeper(void)
{
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name);
    return strcmp(name, "zksync-keeper") == 0;
}

static void stall(const char *file)
{
    char stalled[4096];
    const struct timespec tick = {0, 1000000};
    (void)snprintf(stalled, sizeof stalled, "%s.stalled", file);
    int fd = open(stalled, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
    while (access(file, F_OK) == 0) {
        (void)nanosleep(&tick, NULL);
    }
}

__attribute__((visibility("default"))) uint64_t zks_clock_ms(void)
{
    const char *file = getenv("ZKSYNC_TEST_STALL");
    struct timespec now;
    if (file != NULL && access(file, F_OK) == 0 && !is_keeper()) {
        stall(file);
    }
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
