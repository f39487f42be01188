/* SPDX-License-Identifier: Apache-2.0 */
#include "by_hand.h"

#include "serving.h"

enum { ADD_WATCH = 106, PING = 11, XID_PING = -2, RECURSIVE = 1, AT_ONCE = 50, MANY = 1000 };

struct wire *by_hand_open(const char *address)
{
    struct wire_session session = {.timeout_ms = 120000};
    struct wire *w = wire_open(address, &session);
    assert_non_null(w);
    return w;
}

void by_hand_put_create(struct wire *w, int32_t xid, const char *path, const void *data, size_t len)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, data, len);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, 0);
    wire_finish(w);
}

void by_hand_put_delete(struct wire *w, int32_t xid, const char *path)
{
    wire_begin(w, xid, WIRE_DELETE);
    wire_put_text(w, path);
    wire_put_int(w, -1);
    wire_finish(w);
}

static int answer(struct wire *w)
{
    struct wire_frame frame;
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 1);
    return frame.err;
}

int by_hand_create(struct wire *w, const char *path, const void *data, size_t len)
{
    by_hand_put_create(w, 1, path, data, len);
    return answer(w);
}

int by_hand_ask(struct wire *w)
{
    wire_finish(w);
    return answer(w);
}

void by_hand_many(struct wire *w, unsigned n, bool delete)
{
    static const char data[BY_HAND_DATA];
    struct wire_frame frame;
    char path[32];
    for (unsigned first = 0; first < n; first += MANY) {
        unsigned end = n - first < MANY ? n : first + MANY;
        for (unsigned i = first; i < end; i++) {
            (void)snprintf(path, sizeof path, "/%u", i);
            if (delete) {
                by_hand_put_delete(w, (int32_t)i, path);
            } else {
                by_hand_put_create(w, (int32_t)i, path, data, sizeof data);
            }
        }
        wire_send(w);
        for (unsigned i = first; i < end; i++) {
            wire_next(w, &frame);
            assert_int_equal(frame.xid, i);
            assert_int_equal(frame.err, 0);
        }
    }
}

/* ---- A watcher that stays behind ---- */

static void write_some(struct lagging *l, unsigned events)
{
    struct wire_frame frame;
    for (unsigned i = 0; i < events; i++) {
        if (l->events++ % 2 == 0) {
            by_hand_put_create(l->writer, (int32_t)i, l->path, NULL, 0);
        } else {
            by_hand_put_delete(l->writer, (int32_t)i, l->path);
        }
    }
    wire_send(l->writer);
    for (unsigned i = 0; i < events; i++) {
        wire_next(l->writer, &frame);
        assert_int_equal(frame.xid, i);
        assert_int_equal(frame.err, 0);
    }
}

static void read_some(struct lagging *l, unsigned events)
{
    struct wire_frame frame;
    struct wire_event event;
    for (unsigned i = 0; i < events; i++) {
        wire_next(l->watcher, &frame);
        assert_int_equal(frame.xid, WIRE_XID_EVENT);
        wire_get_event(&frame.body, &event);
        assert_int_equal(event.path.len, sizeof l->path - 1);
    }
}

void lagging_open(struct lagging *l, const char *address, unsigned behind)
{
    l->watcher = by_hand_open(address);
    l->writer = by_hand_open(address);
    l->events = 0;
    memset(l->path, 'p', sizeof l->path);
    l->path[0] = '/';
    l->path[sizeof l->path - 1] = '\0';
    wire_begin(l->watcher, 1, (enum wire_opcode)ADD_WATCH);
    wire_put_text(l->watcher, l->path);
    wire_put_int(l->watcher, RECURSIVE);
    assert_int_equal(by_hand_ask(l->watcher), 0);
    for (unsigned i = 0; i < behind; i += AT_ONCE) {
        write_some(l, AT_ONCE);
    }
}

void lagging_go_on(struct lagging *l, unsigned events)
{
    for (unsigned i = 0; i < events; i += AT_ONCE) {
        write_some(l, AT_ONCE);
        read_some(l, AT_ONCE);
    }
    wire_begin(l->watcher, XID_PING, (enum wire_opcode)PING);
    wire_finish(l->watcher);
    wire_send(l->watcher);
}

void lagging_close(struct lagging *l)
{
    wire_drop(l->watcher);
    wire_drop(l->writer);
}
