/* SPDX-License-Identifier: Apache-2.0 */
/* Shows who holds a lock and who waits for it, in the order of the queue:
 *
 *     ZKSYNC_SERVERS=host:port ./list /app/lock
 *
 * Exit code: 0 if somebody holds it, 3 if nobody does, 1 on an error, 2 for wrong arguments. */
#include <inttypes.h>
#include <stdio.h>
#include <zksync/zksync.h>

static void show(const struct zks_contender *one)
{
    printf("%s %s, token %" PRIu64 ", session 0x%" PRIx64 ", for %.1f s: %s\n",
           one->holds ? "holds" : "waits", one->mode == ZKS_RWLOCK_WRITE ? "write" : "read",
           one->token, (uint64_t)one->session, (double)one->age_ms / 1000, one->data);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: list PATH\n");
        return 2;
    }

    zks_client *client = NULL;
    struct zks_contender *list = NULL;
    size_t count = 0;
    bool held = false;
    int error = zks_client_open(NULL, &client);
    if (error) {
        goto out;
    }
    error = zks_rwlock_list(client, argv[1], 10000, &list, &count);
    if (error) {
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        show(&list[i]);
        held = held || list[i].holds;
    }
    if (!held) {
        printf("nobody holds it\n");
    }

out:
    if (error) {
        fprintf(stderr, "list: %s\n", zks_last_error());
    }
    zks_contenders_free(list, count);
    zks_client_close(client);
    return error ? 1 : held ? 0 : 3;
}
