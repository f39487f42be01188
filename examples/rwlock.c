/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a lock, works under it for some seconds and releases it.  Run it in several terminals:
 *
 *     ZKSYNC_SERVERS=host:port ./rwlock write /app/lock 5
 *     ZKSYNC_SERVERS=host:port ./rwlock read /app/lock 5
 *
 * Exit code: 0 if all the work was done under the lock, 1 on an error, 2 for wrong arguments. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zksync/zksync.h>

static void do_one_step(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

/* The lock can be lost while we work, when the servers are out of reach for too long.  So we ask
 * before each step, and a step should be short against the session timeout. */
static int work(zks_rwlock *lock, long steps)
{
    for (long step = 0; step < steps; step++) {
        if (!zks_rwlock_held(lock)) {
            return ZKS_ELOST;
        }
        do_one_step();
    }
    return 0;
}

int main(int argc, char **argv)
{
    bool write = argc > 1 && strcmp(argv[1], "write") == 0;
    if (argc != 4 || (!write && strcmp(argv[1], "read") != 0)) {
        fprintf(stderr, "usage: rwlock read|write PATH SECONDS\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    zks_client *client = NULL;
    zks_rwlock *lock = NULL;
    int error = zks_client_open(NULL, &client);
    if (error) {
        goto out;
    }
    error = zks_rwlock_new(client, argv[2], NULL, &lock);
    if (error) {
        goto out;
    }
    error = write ? zks_rwlock_wrlock(lock, ZKS_FOREVER) : zks_rwlock_rdlock(lock, ZKS_FOREVER);
    if (error) {
        goto out;
    }
    /* Send the token along with whatever you write, so that its receiver can refuse older ones. */
    printf("%s, token %" PRIu64 "\n", write ? "writing" : "reading", zks_rwlock_token(lock));
    error = work(lock, 10 * strtol(argv[3], NULL, 10));
    if (error) {
        goto out;
    }
    error = zks_rwlock_unlock(lock, 5000);
    if (error) {
        goto out;
    }
    printf("released\n");

out:
    if (error) {
        fprintf(stderr, "rwlock: %s\n", zks_strerror(error));
    }
    zks_rwlock_free(lock);
    zks_client_close(client);
    return error ? 1 : 0;
}
