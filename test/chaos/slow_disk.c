/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that takes its time, for a server of test/chaos that has this library in LD_PRELOAD: each fsync() and
 * fdatasync() takes as many microseconds longer as the first eight bytes of the file ZKSYNC_SLOW_DISK say, which
 * can change at any time. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile uint64_t *delay_us;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void set_up(void)
{
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("ZKSYNC_SLOW_DISK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof(*delay_us), PROT_READ, MAP_SHARED, fd, 0);
        delay_us = page != MAP_FAILED ? page : NULL;
        close(fd);
    }
}

static void delay(void)
{
    pthread_once(&once, set_up);
    uint64_t us = delay_us != NULL ? *delay_us : 0;
    if (us > 0) {
        const struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
        nanosleep(&time, NULL);
    }
}

int fsync(int fd)
{
    delay();
    return real_fsync(fd);
}

int fdatasync(int fd)
{
    delay();
    return real_fdatasync(fd);
}
