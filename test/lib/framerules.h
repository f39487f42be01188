/*
 * Which requests and replies the frame proxy is to lose. The functions may be called from any
 * thread. A connection is only a name here; it is not looked into.
 */
#ifndef ZKSYNC_TEST_FRAMERULES_H
#define ZKSYNC_TEST_FRAMERULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framerules;

struct framerules *framerules_new(void);
void framerules_free(struct framerules *rules);

/* The meaning of the arguments is that of frameproxy_swallow_reply(). */
void framerules_arm(struct framerules *rules, bool on_request, int32_t opcode,
                    const char *path_substring, int nth);
void framerules_disarm(struct framerules *rules);
unsigned framerules_hits(struct framerules *rules);
/* Waits until no armed rule is left. False when the time is over. */
bool framerules_await(struct framerules *rules, int timeout_ms);
unsigned framerules_count(struct framerules *rules, int32_t opcode);

/*
 * Whether a request, and a reply or event, is to be forwarded. The payload is the frame without
 * its length.
 */
bool framerules_request(struct framerules *rules, const void *connection,
                        const unsigned char *payload, size_t size);
bool framerules_reply(struct framerules *rules, const void *connection,
                      const unsigned char *payload, size_t size);
/* The same of the first frame from either side, the handshake's, which has another form. */
bool framerules_connect(struct framerules *rules, const void *connection);
bool framerules_connected(struct framerules *rules, const void *connection);
/* The connection ends: rules that await a reply on it go for the next such request. */
void framerules_forget(struct framerules *rules, const void *connection);

#endif
