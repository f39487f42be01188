/* SPDX-License-Identifier: Apache-2.0 */
#include "local/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char unknown[] = "-";

static void get_boot(char id[ZKS__HOST_ID])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, id, ZKS__HOST_ID - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    id[len > 0 ? len : 0] = '\0';
    id[strcspn(id, " \n")] = '\0';
    if (id[0] == '\0') {
        (void)snprintf(id, ZKS__HOST_ID, "%s", unknown);
    }
}

/* "net:[4026531840]": the number is unique as long as the kernel runs and the namespace exists. */
static void get_namespace(const char *path, char id[ZKS__HOST_ID])
{
    ssize_t len = readlink(path, id, ZKS__HOST_ID - 1);
    id[len > 0 ? len : 0] = '\0';
    if (len <= 0) {
        (void)snprintf(id, ZKS__HOST_ID, "%s", unknown);
    }
}

void zks__host_get(struct zks__host *h)
{
    memset(h, 0, sizeof *h);
    (void)gethostname(h->name, sizeof h->name - 1);
    if (h->name[0] == '\0') {
        (void)snprintf(h->name, sizeof h->name, "%s", unknown);
    }
    get_boot(h->boot);
    get_namespace("/proc/self/ns/net", h->net);
    get_namespace("/proc/self/ns/pid", h->pids);
}

static bool known(const char *a, const char *b)
{
    return strcmp(a, unknown) != 0 && strcmp(b, unknown) != 0;
}

bool zks__host_same(const struct zks__host *a, const struct zks__host *b)
{
    return known(a->boot, b->boot) ? strcmp(a->boot, b->boot) == 0 : strcmp(a->name, b->name) == 0;
}

bool zks__host_same_net(const struct zks__host *a, const struct zks__host *b)
{
    return zks__host_same(a, b) && (!known(a->net, b->net) || strcmp(a->net, b->net) == 0);
}

bool zks__host_same_pids(const struct zks__host *a, const struct zks__host *b)
{
    return zks__host_same(a, b) && (!known(a->pids, b->pids) || strcmp(a->pids, b->pids) == 0);
}
