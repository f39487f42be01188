/* SPDX-License-Identifier: Apache-2.0 */
/* N processes start a computation together and end it together.  With N = 2, in two terminals:
 *
 *     ZKSYNC_SERVERS=host:port ./double_barrier /app/step1 2 alice
 *     ZKSYNC_SERVERS=host:port ./double_barrier /app/step1 2 bob
 *
 * Exit code: 0 if it was computed and all have left, 1 on an error, 2 for wrong arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zksync/zksync.h>

static void compute(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
}

int main(int argc, char **argv)
{
    unsigned long n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (n < 1 || n > ZKS_DOUBLE_BARRIER_N_MAX) {
        fprintf(stderr, "usage: double_barrier PATH N ID   (N from 1 to %d)\n",
                ZKS_DOUBLE_BARRIER_N_MAX);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    zks_client *client = NULL;
    zks_double_barrier *barrier = NULL;
    int error = zks_client_open(NULL, &client);
    if (error) {
        goto out;
    }
    error = zks_double_barrier_new(client, argv[1], (uint32_t)n, argv[3], &barrier);
    if (error) {
        goto out;
    }
    printf("%s: waiting for %lu to be here\n", argv[3], n);
    error = zks_double_barrier_enter(barrier, ZKS_FOREVER);
    if (error) {
        goto out;
    }
    printf("%s: computing\n", argv[3]);
    compute();
    printf("%s: waiting for all to finish\n", argv[3]);
    /* Who dies inside does not keep the others: it counts as gone when its session ends. */
    error = zks_double_barrier_leave(barrier, ZKS_FOREVER);
    if (error) {
        goto out;
    }
    printf("%s: all have finished\n", argv[3]);

out:
    if (error) {
        fprintf(stderr, "double_barrier: %s\n", zks_last_error());
    }
    zks_double_barrier_free(barrier);
    zks_client_close(client);
    return error ? 1 : 0;
}
