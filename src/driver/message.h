/* SPDX-License-Identifier: Apache-2.0 */
/* What libzookeeper's threads post to the driver's.  A message is part of what it is about, so that
 * posting cannot fail. */
#ifndef ZKS_DRIVER_MESSAGE_H
#define ZKS_DRIVER_MESSAGE_H

struct zks__handle;

enum zks__message_kind {
    ZKS__MSG_SESSION, /* The session's state has changed, or its root: `state`. */
    ZKS__MSG_REPLY,   /* A call has ended: the message is the beginning of it. */
    ZKS__MSG_WATCH,   /* A watch has fired: the message is the beginning of it. */
    ZKS__MSG_CLOSED   /* The handle has been closed; nothing of it comes any more. */
};

enum zks__session_state {
    ZKS__SESSION_CONNECTED,
    ZKS__SESSION_SUSPENDED,
    ZKS__SESSION_EXPIRED,
    ZKS__SESSION_AUTH_FAILED,
    ZKS__SESSION_ROOT_GONE, /* The root of all paths has been removed ... */
    ZKS__SESSION_ROOT_THERE /* ... has been made, or written to. */
};

struct zks__message {
    struct zks__message *next;
    enum zks__message_kind kind;
    enum zks__session_state state;
    struct zks__handle *handle;
};

#endif
