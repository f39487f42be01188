/*
 * A proxy in front of one ZooKeeper server that understands where the protocol's messages begin
 * and end. It can lose one chosen request or one chosen reply, which is how a test makes sure
 * that "the server has done it and the client does not know" happens at a given place.
 *
 * A swallowed message, and all that comes after it on its connection, is dropped and the
 * connection is closed on both sides; what came before it is still delivered.
 */
#ifndef ZKSYNC_TEST_FRAMEPROXY_H
#define ZKSYNC_TEST_FRAMEPROXY_H

#include <stdbool.h>
#include <stdint.h>

/* The opcodes of requests, as they are on the wire.  The handshake, by which a session is created or taken up,
 * carries none: it goes by the server's own number for it, and a rule for it names no path. */
enum frameproxy_opcode {
    FRAME_CONNECT = -10,
    FRAME_CREATE = 1,
    FRAME_DELETE = 2,
    FRAME_EXISTS = 3,
    FRAME_GET_DATA = 4,
    FRAME_SET_DATA = 5,
    FRAME_GET_CHILDREN = 8,
    FRAME_SYNC = 9,
    FRAME_PING = 11,
    FRAME_GET_CHILDREN2 = 12,
    FRAME_MULTI = 14,
    FRAME_CREATE2 = 15,
    FRAME_REMOVE_WATCHES = 18,
    FRAME_CREATE_CONTAINER = 19,
    FRAME_CREATE_TTL = 21,
    FRAME_SET_WATCHES = 101,
    FRAME_CLOSE_SESSION = -11
};

struct frameproxy;

/* Ends the test when the proxy cannot be started; the other functions cannot fail. */
struct frameproxy *frameproxy_start(const char *upstream_hostport);
/* 127.0.0.1:port; valid until frameproxy_stop(). */
const char *frameproxy_address(const struct frameproxy *fp);
/* Closes all connections and frees everything. */
void frameproxy_stop(struct frameproxy *fp);

/*
 * Arms a rule that fires once, for the nth (1 is the next) request from now on that has this
 * opcode and whose path contains the text; an empty text or NULL goes for any request. In a multi
 * the text is looked for in all of the request. Where the connection ends for another reason
 * before the awaited reply, the rule goes for the next such request.
 */
void frameproxy_swallow_reply(struct frameproxy *fp, int32_t opcode, const char *path_substring,
                              int nth);
void frameproxy_swallow_request(struct frameproxy *fp, int32_t opcode, const char *path_substring,
                                int nth);

/* Takes back the rules that have not fired. */
void frameproxy_disarm(struct frameproxy *fp);

/* How many rules have fired since the start. */
unsigned frameproxy_hits(struct frameproxy *fp);
/* Waits until no armed rule is left. False when the time is over. */
bool frameproxy_await_hit(struct frameproxy *fp, int timeout_ms);

/*
 * Closes all connections at once, and every new one, until the release. Returns when the
 * connections are closed.
 */
void frameproxy_hold(struct frameproxy *fp);
void frameproxy_release(struct frameproxy *fp);

/*
 * From now on the proxy speaks as a server that grants no longer session timeout than this: it asks its server
 * for no more, and says no more where that has granted more before.
 */
void frameproxy_grant(struct frameproxy *fp, uint32_t timeout_ms);

/*
 * From now on the proxy speaks as a server of ZooKeeper 3.4.14: it says so to the word srvr, and requests that
 * came with 3.5 or later it answers at once, ahead of earlier ones, that they are not implemented, and closes
 * the connection. That is what ZooKeeperServer.submitRequest() of 3.4 does.
 */
void frameproxy_speak_3_4(struct frameproxy *fp);

/* How many requests with the opcode have arrived since the start. */
unsigned frameproxy_count(struct frameproxy *fp, int32_t opcode);

#endif
