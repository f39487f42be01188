/*
 * A look at the server from outside, for tests, by the ZooKeeper client library alone. Reads are
 * preceded by a sync, so that they see whatever was acknowledged before, and are repeated when
 * the connection is lost. A call that fails ends the test with a message, unless it is said to
 * return a code.
 */
#ifndef ZKSYNC_TEST_RAWZK_H
#define ZKSYNC_TEST_RAWZK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* The header declares the calls that wait for their answer only where this is defined. */
#ifndef THREADED
#define THREADED
#endif
#include <zookeeper/zookeeper.h>

struct rawzk;

/* Sorted by strcmp; rawzk_names_free() frees what is inside. */
struct rawzk_names {
    size_t count;
    char **name;
};

/* Returns when the session is established; its timeout is 30 s, or the one given. */
struct rawzk *rawzk_open(const char *hosts);
struct rawzk *rawzk_open_timeout(const char *hosts, int session_timeout_ms);
void rawzk_close(struct rawzk *zk);
zhandle_t *rawzk_handle(struct rawzk *zk);

int64_t rawzk_session_id(struct rawzk *zk);
/* The 16 bytes with which the session can be taken over. */
void rawzk_session_password(struct rawzk *zk, char password[16]);

/*
 * Expires a session: takes it over with a connection of its own and closes it. Returns when all of the
 * servers call the session expired; all must run. False when it had expired before.
 */
bool rawzk_kill_session(const char *hosts, int64_t session_id, const char password[16]);

/* data may be NULL; out_path may be NULL and is else at least out_size bytes. */
void rawzk_create(struct rawzk *zk, const char *path, const char *data, int flags, char *out_path,
                  size_t out_size);
/* Creates the persistent nodes along the path that are not there. */
void rawzk_create_path(struct rawzk *zk, const char *path);
void rawzk_delete(struct rawzk *zk, const char *path);
/* Deletes a node and all below it; nothing to do when it is not there. */
void rawzk_delete_tree(struct rawzk *zk, const char *path);
void rawzk_set(struct rawzk *zk, const char *path, const char *data, size_t length);
void rawzk_set_acl(struct rawzk *zk, const char *path, const struct ACL_vector *acl);

/* These return the client library's code for success or error. */
int rawzk_try_create(struct rawzk *zk, const char *path, const char *data, int flags,
                     char *out_path, size_t out_size);
int rawzk_try_delete(struct rawzk *zk, const char *path);

void rawzk_sync(struct rawzk *zk, const char *path);
/* stat may be NULL. */
bool rawzk_exists(struct rawzk *zk, const char *path, struct Stat *stat);
/*
 * *length is the room in the buffer and becomes the length of the data; a zero byte is added
 * where there is room for it. stat may be NULL. False when there is no such node.
 */
bool rawzk_get(struct rawzk *zk, const char *path, char *buffer, size_t *length, struct Stat *stat);
/* A node that is not there has no children. */
void rawzk_children(struct rawzk *zk, const char *path, struct rawzk_names *names);
size_t rawzk_count_children(struct rawzk *zk, const char *path);
void rawzk_names_free(struct rawzk_names *names);

/* Wait for a state of the server, and fail the test when it does not come in time. */
void rawzk_await_children(struct rawzk *zk, const char *path, size_t count, int timeout_ms);
void rawzk_await_exists(struct rawzk *zk, const char *path, int timeout_ms);
void rawzk_await_gone(struct rawzk *zk, const char *path, int timeout_ms);

#endif
