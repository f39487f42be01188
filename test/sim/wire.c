/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <string.h>

#include "fold.h"

const char *request_path(const struct request *r)
{
    return r->ask == ASK_WRITE && r->n_ops > 0 ? r->ops[0].path : r->path;
}

bool request_is_heartbeat(const struct request *r)
{
    const char *path = request_path(r);
    return (r->ask == ASK_SYNC || r->ask == ASK_EXISTS ? strcmp(path, "/") == 0
                                                       : strcmp(path, "/beat") == 0);
}

static uint64_t fold_op(uint64_t hash, const struct zks__op *op)
{
    hash = fold_text(fold(hash, (uint64_t)op->kind), op->path);
    hash = fold_bytes(hash, op->data, op->data != NULL ? op->data_len : 0);
    return fold(fold(hash, (uint64_t)op->version), (uint64_t)op->mode);
}

uint64_t fold_request(uint64_t hash, const struct request *r)
{
    hash = fold_text(fold(hash, (uint64_t)r->ask), r->path);
    hash = fold(hash, (uint64_t)r->watch | (uint64_t)r->multi << 1 | (uint64_t)r->done << 2);
    for (size_t i = 0; i < r->n_ops; i++) {
        hash = fold_op(hash, &r->ops[i]);
    }
    for (size_t i = 0; i < r->n_watches; i++) {
        hash = fold_text(fold(hash, (uint64_t)r->watches[i].what), r->watches[i].path);
    }
    hash = fold(fold(hash, (uint64_t)r->session), (uint64_t)r->zxid);
    return r->done && r->answer != NULL ? fold_answer(hash, r->answer) : hash;
}

uint64_t fold_answer(uint64_t hash, const struct answer *a)
{
    hash = fold(fold(hash, (uint64_t)a->tell), (uint64_t)a->code);
    hash = fold(fold(hash, (uint64_t)a->zxid), (uint64_t)a->session);
    hash = fold_text(fold(hash, (uint64_t)a->event), a->path);
    if (a->tell == TELL_REPLY && a->code == 0) {
        hash = fold_bytes(hash, &a->stat, sizeof a->stat);
        hash = fold_bytes(hash, a->data, a->data != NULL ? (size_t)a->stat.data_length : 0);
    }
    for (size_t i = 0; i < a->n_children; i++) {
        hash = fold_text(hash, a->children[i]);
    }
    return hash;
}
