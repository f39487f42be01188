/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/timers.h"

#include <stddef.h>

static struct zks__timer *meld(struct zks__timer *a, struct zks__timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    if (b->at_ms < a->at_ms) {
        struct zks__timer *t = a;
        a = b;
        b = t;
    }
    b->before = a;
    b->sibling = a->child;
    if (a->child != NULL) {
        a->child->before = b;
    }
    a->child = b;
    return a;
}

/* Melds a list of siblings in pairs, then the pairs from the last to the first. */
static struct zks__timer *meld_siblings(struct zks__timer *first)
{
    struct zks__timer *pairs = NULL;
    struct zks__timer *root = NULL;
    while (first != NULL) {
        struct zks__timer *a = first;
        struct zks__timer *b = a->sibling;
        first = b != NULL ? b->sibling : NULL;
        a->sibling = a->before = NULL;
        if (b != NULL) {
            b->sibling = b->before = NULL;
        }
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct zks__timer *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void disarm(struct zks__timers *timers, struct zks__timer *timer)
{
    struct zks__timer *below = meld_siblings(timer->child);
    if (timers->root == timer) {
        timers->root = below;
    } else {
        if (timer->before->child == timer) {
            timer->before->child = timer->sibling;
        } else {
            timer->before->sibling = timer->sibling;
        }
        if (timer->sibling != NULL) {
            timer->sibling->before = timer->before;
        }
        timers->root = meld(timers->root, below);
    }
    timer->child = timer->sibling = timer->before = NULL;
    timer->armed = false;
}

void zks__timer_set(struct zks__timers *timers, struct zks__timer *timer, uint64_t at_ms)
{
    if (timer->armed && timer->at_ms == at_ms) {
        return;
    }
    if (timer->armed) {
        disarm(timers, timer);
    }
    if (at_ms != UINT64_MAX) {
        timer->at_ms = at_ms;
        timer->armed = true;
        timers->root = meld(timers->root, timer);
    }
}

uint64_t zks__timers_next(const struct zks__timers *timers)
{
    return timers->root != NULL ? timers->root->at_ms : UINT64_MAX;
}

struct zks__timer *zks__timers_take(struct zks__timers *timers, uint64_t now_ms)
{
    struct zks__timer *first = timers->root;
    if (first == NULL || first->at_ms > now_ms) {
        return NULL;
    }
    disarm(timers, first);
    return first;
}
