/* SPDX-License-Identifier: Apache-2.0 */
/* Sets a barrier, waits at it, or removes it so that all who wait go on:
 *
 *     ZKSYNC_SERVERS=host:port ./barrier set /app/maintenance
 *     ZKSYNC_SERVERS=host:port ./barrier wait /app/maintenance     (in other terminals)
 *     ZKSYNC_SERVERS=host:port ./barrier unset /app/maintenance
 *
 * Exit code: 0 if that was done, 1 on an error (a barrier that is set twice, or unset where there
 * is none, among them), 2 for wrong arguments. */
#include <stdio.h>
#include <string.h>
#include <zksync/zksync.h>

static int act(zks_barrier *barrier, const char *what)
{
    int error = ZKS_EINVAL;
    if (strcmp(what, "set") == 0) {
        error = zks_barrier_set(barrier, 10000);
    } else if (strcmp(what, "unset") == 0) {
        error = zks_barrier_unset(barrier, 10000);
    } else if (strcmp(what, "wait") == 0) {
        error = zks_barrier_wait(barrier, 0);
        if (error == ZKS_EBUSY) {
            printf("waiting\n");
            error = zks_barrier_wait(barrier, ZKS_FOREVER);
        }
    }
    return error;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[1], "set") != 0 && strcmp(argv[1], "wait") != 0 &&
                      strcmp(argv[1], "unset") != 0)) {
        fprintf(stderr, "usage: barrier set|wait|unset PATH\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    zks_client *client = NULL;
    zks_barrier *barrier = NULL;
    int error = zks_client_open(NULL, &client);
    if (error) {
        goto out;
    }
    error = zks_barrier_new(client, argv[2], &barrier);
    if (error) {
        goto out;
    }
    error = act(barrier, argv[1]);
    if (error) {
        goto out;
    }
    printf("%s\n", strcmp(argv[1], "wait") == 0 ? "passed" : argv[1]);

out:
    if (error) {
        fprintf(stderr, "barrier: %s\n", zks_last_error());
    }
    zks_barrier_free(barrier);
    zks_client_close(client);
    return error ? 1 : 0;
}
