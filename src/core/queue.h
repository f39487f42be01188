/* SPDX-License-Identifier: Apache-2.0 */
/* Who stands where in a lock's queue, read from a listing of its children. */
#ifndef ZKS_CORE_QUEUE_H
#define ZKS_CORE_QUEUE_H

#include "name.h"

struct zks__place {
    const struct zks__stem *stem;
    enum zks__mode mode;
    int32_t seq;
    const char *passed; /* Contenders with our number up to this name are known to be later. */
};

/* zks__queue_ahead: the nearest contender that `place` must wait for, or NULL: for a writer the
 * nearest of all before it, for a reader the nearest writer.  Contenders with our own number exist
 * only once the server's counter has broken; their czxid tells who was first, so they are offered
 * one by one in the order of their names.  Foreign names and our own earlier znodes do not count.
 */
const char *zks__queue_ahead(const struct zks__reply *listing, const struct zks__place *place);

/* zks__queue_turns: after how many others it is the turn of `place`, or nearly so; 1 where those who hold are
 * the only ones ahead, 0 where nobody is.  Of readers that come in together only the first few count as next. */
unsigned zks__queue_turns(const struct zks__reply *listing, const struct zks__place *place);

#endif
