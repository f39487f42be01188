/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/rwlock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/common.h"
#include "core/rwlock.h"
#include "driver/clock.h"

struct zks_rwlock {
    struct zks__machine machine;
    zks_rwlock_options options;
    char *data;
    struct zks_op unlock_op; /* Of an unlock that is not waited for. */

    /* Under the client's lock: what getters read. */
    int held;       /* The mode, or 0. */
    bool lost;      /* Lost and not unlocked since. */
    bool pending;   /* An operation is in hand. */
    bool unlocking; /* `unlock_op` is under way. */
    uint64_t token;
    char node[ZKS__PATH_MAX + 1 + ZKS__NAME_MAX + 1];
    char waits_for[ZKS__HOLDER_MAX + 1];
    bool waiting; /* `node` is the one that stands in the queue. */

    bool unlock_taken; /* The driver's thread only, as all below. */
    struct zks__rwlock core;
};

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks_rwlock *lock = (struct zks_rwlock *)m;
    lock->unlock_taken |= in->kind == ZKS__IN_REQUEST && in->request.what == ZKS__RWLOCK_UNLOCK;
    zks__rwlock_step(&lock->core, in, out);
}

static uint64_t deadline(const struct zks__machine *m)
{
    return zks__rwlock_deadline(&((const struct zks_rwlock *)m)->core);
}

static bool clean(const struct zks__machine *m)
{
    return zks__rwlock_clean(&((const struct zks_rwlock *)m)->core);
}

static enum zks__needs needs(const struct zks__machine *m)
{
    return zks__rwlock_needs(&((const struct zks_rwlock *)m)->core);
}

static bool watches(const struct zks__machine *m, const char *name)
{
    return zks__rwlock_watches(&((const struct zks_rwlock *)m)->core, name);
}

static void publish(struct zks__machine *m)
{
    struct zks_rwlock *lock = (struct zks_rwlock *)m;
    const struct zks__rwlock *core = &lock->core;
    bool holds = zks__rwlock_holds(core);
    /* While a downgrade is on its way readers may be in already. */
    bool writes = core->mode == ZKS__WRITE && core->state == ZKS__RWLOCK_HELD;
    int held = !holds ? 0 : writes ? ZKS_RWLOCK_WRITE : ZKS_RWLOCK_READ;
    size_t dir_len = strlen(core->dir);
    lock->waiting = core->state == ZKS__RWLOCK_WAITING;
    if ((held != 0 || lock->waiting) && strcmp(lock->node + dir_len + 1, core->own) != 0) {
        memcpy(lock->node, core->dir, dir_len);
        lock->node[dir_len] = '/';
        strcpy(lock->node + dir_len + 1, core->own);
    }
    if (lock->unlock_taken) {
        lock->unlock_taken = lock->unlocking = false;
    }
    lock->held = held;
    lock->lost = core->state == ZKS__RWLOCK_LOST;
    lock->pending = core->pending;
    lock->token = holds ? core->token : 0;
    if (lock->waiting) {
        memcpy(lock->waits_for, core->holder, sizeof lock->waits_for);
    } else {
        lock->waits_for[0] = '\0';
    }
}

static void lost(struct zks__machine *m)
{
    struct zks_rwlock *lock = (struct zks_rwlock *)m;
    if (lock->options.lost != NULL) {
        lock->options.lost(lock, lock->options.lost_arg);
    }
}

static void destroy(struct zks__machine *m)
{
    struct zks_rwlock *lock = (struct zks_rwlock *)m;
    free(lock->data);
    free(lock);
}

static bool own(const struct zks__machine *m, struct zks__owned *owned)
{
    return zks__rwlock_own(&((const struct zks_rwlock *)m)->core, owned);
}

static const struct zks__machine_type type = {step,    deadline, clean,   needs, watches,
                                              publish, lost,     destroy, own,   false};

int zks_rwlock_new(zks_client *client, const char *path, const zks_rwlock_options *options,
                   zks_rwlock **lock)
{
    static const zks_rwlock_options defaults = ZKS_RWLOCK_OPTIONS_INIT;
    unsigned char random[ZKS__STEM_LEN / 2];
    struct zks__stem stem;
    if (client == NULL || lock == NULL) {
        return zks__invalid(client == NULL ? "client" : "lock", "NULL");
    }
    if (options != NULL &&
        (options->size < sizeof options->size || options->size > sizeof defaults)) {
        return zks__invalid("options.size", "not set by ZKS_RWLOCK_OPTIONS_INIT of this library");
    }
    char full[ZKS__PATH_MAX + 1];
    int rc = zks__full_path(client, path, false, full);
    if (rc != 0) {
        return rc;
    }
    struct zks_rwlock *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return zks__error(ZKS_ENOMEM);
    }
    l->options = defaults;
    if (options != NULL) {
        memcpy(&l->options, options, options->size);
    }
    l->data = strdup(client->description);
    rc = l->data != NULL ? zks__fill_random(random, sizeof random) : ZKS_ENOMEM;
    if (rc == 0) {
        zks__stem_init(&stem, random);
        zks__rwlock_init(&l->core, full, &stem, l->data, strlen(l->data));
        l->core.expiry_is_error = l->options.expiry_is_error;
        zks_op_init(&l->unlock_op, zks__op_ignore, NULL);
        rc = zks__machine_attach(&l->machine, &type, client, l->core.dir);
    }
    if (rc != 0) {
        destroy(&l->machine);
        return zks__error(rc);
    }
    *lock = l;
    return 0;
}

void zks_rwlock_free(zks_rwlock *lock)
{
    if (lock != NULL) {
        zks__machine_free(&lock->machine);
    }
}

static int run(zks_rwlock *lock, int what, int64_t timeout_ms)
{
    return zks__run(lock != NULL ? &lock->machine : NULL, what, timeout_ms);
}

int zks_rwlock_rdlock(zks_rwlock *lock, int64_t timeout_ms)
{
    return run(lock, ZKS__RWLOCK_RDLOCK, timeout_ms);
}

int zks_rwlock_wrlock(zks_rwlock *lock, int64_t timeout_ms)
{
    return run(lock, ZKS__RWLOCK_WRLOCK, timeout_ms);
}

/* What an unlock that is not waited for answers, and whether there is something to do.  The client's
 * lock is held. */
static bool admit_unlock(struct zks__machine *m, int *result)
{
    struct zks_rwlock *lock = (struct zks_rwlock *)m;
    bool over = zks__now_ms() >= zks__client_safe_until(m->client);
    *result = lock->unlocking                     ? ZKS_EPERM
              : lock->pending || m->submitted > 0 ? ZKS_EDEADLK
              : lock->lost                        ? ZKS_ELOST
              : lock->held == 0                   ? ZKS_EPERM
              : over                              ? ZKS_ELOST
                                                  : 0;
    bool admitted = *result == 0 || *result == ZKS_ELOST;
    lock->unlocking |= admitted;
    return admitted;
}

/* It needs no answer of the driver's thread: what that would say is known here.  Whoever asks next is
 * queued behind it. */
static int unlock_now(zks_rwlock *lock)
{
    int rc = zks__machine_submit_if(&lock->machine, &lock->unlock_op, ZKS__RWLOCK_UNLOCK, 0,
                                    admit_unlock);
    /* ZKS_EINVAL: the operation is in use, by another unlock. */
    return zks__error(rc == ZKS_EINVAL ? ZKS_EPERM : rc);
}

int zks_rwlock_unlock(zks_rwlock *lock, int64_t timeout_ms)
{
    bool now = lock != NULL && timeout_ms == 0;
    return now ? unlock_now(lock) : run(lock, ZKS__RWLOCK_UNLOCK, timeout_ms);
}

int zks_rwlock_downgrade(zks_rwlock *lock, int64_t timeout_ms)
{
    return run(lock, ZKS__RWLOCK_DOWNGRADE, timeout_ms);
}

static int submit(zks_rwlock *lock, int what, int64_t timeout_ms, zks_op *op)
{
    return zks__submit(lock != NULL ? &lock->machine : NULL, op, what, timeout_ms);
}

int zks_rwlock_rdlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op)
{
    return submit(lock, ZKS__RWLOCK_RDLOCK, timeout_ms, op);
}

int zks_rwlock_wrlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op)
{
    return submit(lock, ZKS__RWLOCK_WRLOCK, timeout_ms, op);
}

int zks_rwlock_unlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op)
{
    return submit(lock, ZKS__RWLOCK_UNLOCK, timeout_ms, op);
}

int zks_rwlock_downgrade_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op)
{
    return submit(lock, ZKS__RWLOCK_DOWNGRADE, timeout_ms, op);
}

/* Whether it is held by the clock as well.  The client's lock is held. */
static bool holds_now(const zks_rwlock *lock, const struct zks_client *c)
{
    return lock->held != 0 && !lock->unlocking && zks__now_ms() < zks__client_safe_until(c);
}

int zks_rwlock_held(zks_rwlock *lock)
{
    struct zks_client *c = lock != NULL ? lock->machine.client : NULL;
    if (c == NULL || c->pid != getpid()) {
        return 0;
    }
    pthread_mutex_lock(&c->lock);
    int held = holds_now(lock, c) ? lock->held : 0;
    pthread_mutex_unlock(&c->lock);
    return held;
}

uint64_t zks_rwlock_token(zks_rwlock *lock)
{
    struct zks_client *c = lock != NULL ? lock->machine.client : NULL;
    if (c == NULL || c->pid != getpid()) {
        return 0;
    }
    pthread_mutex_lock(&c->lock);
    uint64_t token = holds_now(lock, c) ? lock->token : 0;
    pthread_mutex_unlock(&c->lock);
    return token;
}

uint64_t zks_rwlock_safe_until(zks_rwlock *lock)
{
    struct zks_client *c = lock != NULL ? lock->machine.client : NULL;
    if (c == NULL || c->pid != getpid()) {
        return 0;
    }
    pthread_mutex_lock(&c->lock);
    uint64_t until = lock->held && !lock->unlocking ? zks__client_safe_until(c) : 0;
    pthread_mutex_unlock(&c->lock);
    return until;
}

static size_t copy_out(const char *text, char *buf, size_t size)
{
    size_t len = strlen(text);
    if (buf != NULL && size > 0) {
        size_t cut = len < size ? len : size - 1;
        memcpy(buf, text, cut);
        buf[cut] = '\0';
    }
    return len;
}

/* One of the texts under the client's lock; empty where the handle cannot be asked. */
static size_t read_text(zks_rwlock *lock,
                        const char *(*pick)(const zks_rwlock *lock, const struct zks_client *c),
                        char *buf, size_t size)
{
    struct zks_client *c = lock != NULL ? lock->machine.client : NULL;
    if (c == NULL || c->pid != getpid()) {
        return copy_out("", buf, size);
    }
    pthread_mutex_lock(&c->lock);
    size_t len = copy_out(pick(lock, c), buf, size);
    pthread_mutex_unlock(&c->lock);
    return len;
}

static const char *pick_node(const zks_rwlock *lock, const struct zks_client *c)
{
    return holds_now(lock, c) ? lock->node : "";
}

static const char *pick_place(const zks_rwlock *lock, const struct zks_client *c)
{
    (void)c;
    return lock->waiting ? lock->node : "";
}

static const char *pick_waits_for(const zks_rwlock *lock, const struct zks_client *c)
{
    (void)c;
    return lock->waits_for;
}

size_t zks_rwlock_node(zks_rwlock *lock, char *buf, size_t size)
{
    return read_text(lock, pick_node, buf, size);
}

size_t zks_rwlock_place(zks_rwlock *lock, char *buf, size_t size)
{
    return read_text(lock, pick_place, buf, size);
}

size_t zks_rwlock_waits_for(zks_rwlock *lock, char *buf, size_t size)
{
    return read_text(lock, pick_waits_for, buf, size);
}
