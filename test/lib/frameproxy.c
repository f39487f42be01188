#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "frameproxy.h"

#include "ensemble.h"
#include "framerules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LENGTH_SIZE = 4,
    MAX_FRAME = 64 * 1024 * 1024,
    /* A side is not read while this much waits to be written to the other. */
    HIGH_WATER = 4 * 1024 * 1024
};

struct buffer {
    unsigned char *data;
    size_t used;
    size_t room;
};

/* One of the two sockets of a connection through the proxy. */
struct side {
    int fd;
    struct buffer in;
    struct buffer out;
    bool connecting;
    /* The session's handshake, which is the first frame, has another form than the rest. */
    bool greeted;
    /* Nothing more comes from it. */
    bool eof;
    /* It has been told that nothing more comes from here. */
    bool shut;
};

struct connection {
    struct connection *next;
    struct side client;
    struct side server;
    /* Frames are no longer looked at; what is queued is delivered, the rest is dropped. */
    bool cutting;
};

struct frameproxy {
    char address[32];
    struct sockaddr_storage upstream;
    socklen_t upstream_length;
    int listener;
    int wake;
    pthread_t thread;
    struct connection *connections;
    struct framerules *rules;
    atomic_bool old;
    atomic_uint granted_ms; /* 0: what the server grants. */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* The mutex guards what follows. */
    bool stopping;
    bool hold_wanted;
    bool holding;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void append(struct buffer *buffer, const unsigned char *data, size_t size)
{
    if (buffer->room - buffer->used < size) {
        size_t room = 2 * (buffer->used + size);
        buffer->data = must(realloc(buffer->data, room));
        buffer->room = room;
    }
    memcpy(buffer->data + buffer->used, data, size);
    buffer->used += size;
}

static void consume(struct buffer *buffer, size_t size)
{
    buffer->used -= size;
    if (buffer->used > 0) {
        memmove(buffer->data, buffer->data + size, buffer->used);
    }
}

static int32_t read_int(const unsigned char *data)
{
    return (int32_t)((uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 |
                     (uint32_t)data[3]);
}

/* Stops looking at the connection's frames; its sockets are closed when all is delivered. */
static void cut(struct frameproxy *fp, struct connection *connection)
{
    if (connection->cutting) {
        return;
    }
    connection->cutting = true;
    framerules_forget(fp->rules, connection);
}

/* Whether ZooKeeper 3.4 does not know a request: see Request.isValid() there. */
static bool is_new(int32_t opcode)
{
    static const int32_t known[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 100, 101, 102, -11};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == opcode) {
            return false;
        }
    }
    return true;
}

/* Answers what a server of 3.4 answers by itself; false for a frame that is to be forwarded. */
static bool answer_as_3_4(struct frameproxy *fp, struct connection *connection,
                          const unsigned char *frame, size_t size)
{
    static const char version[] =
        "Zookeeper version: 3.4.14-4c25d480e66aadd371de8bd2fd8da255ac140bcf, built on 03/06/2019 "
        "16:18 GMT\nMode: standalone\n";
    unsigned char reply[LENGTH_SIZE + 16] = {0, 0, 0, 16};
    if (!connection->client.greeted || size < 8 || !is_new(read_int(frame + LENGTH_SIZE + 4))) {
        bool asks = !connection->client.greeted && memcmp(frame, "srvr", LENGTH_SIZE) == 0;
        if (asks) {
            append(&connection->client.out, (const unsigned char *)version, sizeof version - 1);
            cut(fp, connection);
        }
        return asks;
    }
    memcpy(reply + LENGTH_SIZE, frame + LENGTH_SIZE, 4);
    memset(reply + LENGTH_SIZE + 12, 0xff, 4);
    reply[LENGTH_SIZE + 15] = 0xfa; /* -6: it is not implemented. */
    append(&connection->client.out, reply, sizeof reply);
    cut(fp, connection);
    return true;
}

/* The length of a frame is followed by the protocol's version, and a request by the last zxid; then comes the
 * timeout. */
static void bound_timeout(struct frameproxy *fp, unsigned char *frame, size_t size, size_t at)
{
    uint32_t granted_ms = atomic_load(&fp->granted_ms);
    if (granted_ms != 0 && size >= at + 4 && read_int(frame + at) > (int32_t)granted_ms) {
        for (size_t k = 0; k < 4; k++) {
            frame[at + k] = (unsigned char)(granted_ms >> (24 - 8 * k));
        }
    }
}

static bool forward_handshake(struct frameproxy *fp, struct connection *connection,
                              struct side *from, unsigned char *frame, size_t size)
{
    bool asks = from == &connection->client;
    from->greeted = true;
    bound_timeout(fp, frame, size, LENGTH_SIZE + 4 + (asks ? 8 : 0));
    return asks ? framerules_connect(fp->rules, connection)
                : framerules_connected(fp->rules, connection);
}

static void forward_frames(struct frameproxy *fp, struct connection *connection, struct side *from,
                           struct side *to)
{
    size_t done = 0;
    while (!connection->cutting && from->in.used - done >= LENGTH_SIZE) {
        unsigned char *frame = from->in.data + done;
        int32_t length = read_int(frame);
        bool as_old = from == &connection->client && atomic_load(&fp->old);
        if (as_old && !from->greeted && answer_as_3_4(fp, connection, frame, 0)) {
            break;
        }
        if (length < 0 || length > MAX_FRAME) {
            cut(fp, connection);
            break;
        }
        size_t size = (size_t)length;
        if (from->in.used - done < LENGTH_SIZE + size) {
            break;
        }
        bool forward = true;
        if (as_old && from->greeted && answer_as_3_4(fp, connection, frame, size)) {
            (void)framerules_request(fp->rules, connection, frame + LENGTH_SIZE,
                                     size); /* Counts. */
            break;
        }
        if (!from->greeted) {
            forward = forward_handshake(fp, connection, from, frame, LENGTH_SIZE + size);
        } else if (from == &connection->client) {
            forward = framerules_request(fp->rules, connection, frame + LENGTH_SIZE, size);
        } else {
            forward = framerules_reply(fp->rules, connection, frame + LENGTH_SIZE, size);
        }
        if (!forward) {
            cut(fp, connection);
            break;
        }
        append(&to->out, frame, LENGTH_SIZE + size);
        done += LENGTH_SIZE + size;
    }
    consume(&from->in, done);
}

/* The socket is of no more use in either direction. */
static void give_up(struct frameproxy *fp, struct connection *connection, struct side *side)
{
    side->connecting = false;
    side->eof = true;
    side->shut = true;
    side->out.used = 0;
    cut(fp, connection);
}

static void read_side(struct frameproxy *fp, struct connection *connection, struct side *from,
                      struct side *to)
{
    unsigned char piece[65536];
    ssize_t got = recv(from->fd, piece, sizeof piece, 0);
    if (got == 0) {
        from->eof = true;
        cut(fp, connection);
    } else if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            give_up(fp, connection, from);
        }
    } else if (!connection->cutting) {
        append(&from->in, piece, (size_t)got);
        forward_frames(fp, connection, from, to);
    }
}

static void write_side(struct frameproxy *fp, struct connection *connection, struct side *side)
{
    if (side->connecting || side->shut) {
        return;
    }
    while (side->out.used > 0) {
        ssize_t sent = send(side->fd, side->out.data, side->out.used, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                give_up(fp, connection, side);
            }
            return;
        }
        consume(&side->out, (size_t)sent);
    }
    if (connection->cutting) {
        /*
         * Closing a socket with unread data in it would make the other end forget what it has
         * not read yet, so the close is announced first and the rest is read and dropped.
         */
        (void)shutdown(side->fd, SHUT_WR);
        side->shut = true;
    }
}

static void finish_connect(struct frameproxy *fp, struct connection *connection)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct side *side = &connection->server;
    if (getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        give_up(fp, connection, side);
    }
    side->connecting = false;
}

static void free_connection(struct frameproxy *fp, struct connection *connection)
{
    cut(fp, connection);
    struct side *sides[] = {&connection->client, &connection->server};
    for (size_t k = 0; k < 2; k++) {
        if (sides[k]->fd >= 0) {
            (void)close(sides[k]->fd);
        }
        free(sides[k]->in.data);
        free(sides[k]->out.data);
    }
    free(connection);
}

static void free_connections(struct frameproxy *fp, bool all)
{
    struct connection **link = &fp->connections;
    while (*link != NULL) {
        struct connection *connection = *link;
        bool ended = connection->client.eof && connection->client.shut && connection->server.eof &&
                     connection->server.shut;
        if (all || ended) {
            *link = connection->next;
            free_connection(fp, connection);
        } else {
            link = &connection->next;
        }
    }
}

/* Requests are small and a reply is waited for: none is to be held back to be sent with more. */
static void set_no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void accept_client(struct frameproxy *fp, bool refuse)
{
    int client = accept4(fp->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    int server =
        refuse ? -1 : socket(fp->upstream.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0) {
        (void)close(client);
        return;
    }
    set_no_delay(client);
    set_no_delay(server);
    struct connection *connection = must(calloc(1, sizeof *connection));
    connection->client.fd = client;
    connection->server.fd = server;
    connection->server.connecting = true;
    connection->next = fp->connections;
    fp->connections = connection;
    if (connect(server, (const struct sockaddr *)&fp->upstream, fp->upstream_length) == 0) {
        connection->server.connecting = false;
    } else if (errno != EINPROGRESS) {
        give_up(fp, connection, &connection->server);
    }
}

static struct pollfd poll_entry(const struct side *side, const struct side *other, bool cutting)
{
    struct pollfd entry = {.fd = side->fd};
    if (side->connecting || (side->out.used > 0 && !side->shut) || (cutting && !side->shut)) {
        entry.events |= POLLOUT;
    }
    if (!side->eof && !side->connecting && (cutting || other->out.used < HIGH_WATER)) {
        entry.events |= POLLIN;
    }
    /* Hang-ups are reported even unasked, which would make a busy loop of an ended socket. */
    if (entry.events == 0 && side->eof) {
        entry.fd = -1;
    }
    return entry;
}

/* The entries are the client's and the server's, as they were polled. */
static void serve_connection(struct frameproxy *fp, struct connection *connection,
                             const struct pollfd entries[2])
{
    struct side *client = &connection->client;
    struct side *server = &connection->server;
    if (server->connecting && entries[1].revents != 0) {
        finish_connect(fp, connection);
    } else if (!server->eof && (entries[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        read_side(fp, connection, server, client);
    }
    if (!client->eof && (entries[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        read_side(fp, connection, client, server);
    }
    write_side(fp, connection, client);
    write_side(fp, connection, server);
}

/* Waits for something to do and does it. */
static void turn(struct frameproxy *fp, bool hold)
{
    size_t count = 2;
    for (const struct connection *c = fp->connections; c != NULL; c = c->next) {
        count += 2;
    }
    struct pollfd *entries = must(calloc(count, sizeof *entries));
    entries[0] = (struct pollfd){.fd = fp->wake, .events = POLLIN};
    entries[1] = (struct pollfd){.fd = fp->listener, .events = POLLIN};
    size_t k = 2;
    for (const struct connection *c = fp->connections; c != NULL; c = c->next, k += 2) {
        entries[k] = poll_entry(&c->client, &c->server, c->cutting);
        entries[k + 1] = poll_entry(&c->server, &c->client, c->cutting);
    }
    if (poll(entries, (nfds_t)count, -1) > 0) {
        uint64_t ignored = 0;
        if (entries[0].revents != 0 && read(fp->wake, &ignored, sizeof ignored) < 0) {
            abort();
        }
        k = 2;
        for (struct connection *c = fp->connections; c != NULL; c = c->next, k += 2) {
            serve_connection(fp, c, entries + k);
        }
        if (entries[1].revents != 0) {
            accept_client(fp, hold);
        }
        free_connections(fp, false);
    }
    free(entries);
}

static void *run(void *context)
{
    struct frameproxy *fp = context;
    for (;;) {
        (void)pthread_mutex_lock(&fp->mutex);
        bool stopping = fp->stopping;
        bool hold = fp->hold_wanted;
        (void)pthread_mutex_unlock(&fp->mutex);
        if (stopping || hold) {
            free_connections(fp, true);
        }
        (void)pthread_mutex_lock(&fp->mutex);
        fp->holding = hold;
        (void)pthread_cond_broadcast(&fp->changed);
        (void)pthread_mutex_unlock(&fp->mutex);
        if (stopping) {
            return NULL;
        }
        turn(fp, hold);
    }
}

static void wake(const struct frameproxy *fp)
{
    uint64_t one = 1;
    if (write(fp->wake, &one, sizeof one) < 0) {
        abort();
    }
}

static void resolve(struct frameproxy *fp, const char *hostport)
{
    const char *colon = strrchr(hostport, ':');
    if (colon == NULL) {
        ens_fail("\"%s\" is not host:port", hostport);
    }
    char *host = must(strndup(hostport, (size_t)(colon - hostport)));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    free(host);
    if (error != 0) {
        ens_fail("%s: %s", hostport, gai_strerror(error));
    }
    memcpy(&fp->upstream, found->ai_addr, found->ai_addrlen);
    fp->upstream_length = found->ai_addrlen;
    freeaddrinfo(found);
}

static void begin_listening(struct frameproxy *fp)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof local;
    fp->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fp->listener < 0 ||
        bind(fp->listener, (const struct sockaddr *)&local, sizeof local) != 0 ||
        listen(fp->listener, 128) != 0 ||
        getsockname(fp->listener, (struct sockaddr *)&local, &size) != 0) {
        ens_fail("a port for the frame proxy: %s", strerror(errno));
    }
    (void)snprintf(fp->address, sizeof fp->address, "127.0.0.1:%u",
                   (unsigned)ntohs(local.sin_port));
}

struct frameproxy *frameproxy_start(const char *upstream_hostport)
{
    struct frameproxy *fp = must(calloc(1, sizeof *fp));
    resolve(fp, upstream_hostport);
    begin_listening(fp);
    fp->wake = eventfd(0, EFD_CLOEXEC);
    if (fp->wake < 0) {
        ens_fail("eventfd: %s", strerror(errno));
    }
    fp->rules = framerules_new();
    (void)pthread_mutex_init(&fp->mutex, NULL);
    (void)pthread_cond_init(&fp->changed, NULL);
    int error = pthread_create(&fp->thread, NULL, run, fp);
    if (error != 0) {
        ens_fail("pthread_create: %s", strerror(error));
    }
    return fp;
}

const char *frameproxy_address(const struct frameproxy *fp)
{
    return fp->address;
}

void frameproxy_stop(struct frameproxy *fp)
{
    if (fp == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&fp->mutex);
    fp->stopping = true;
    (void)pthread_mutex_unlock(&fp->mutex);
    wake(fp);
    (void)pthread_join(fp->thread, NULL);
    framerules_free(fp->rules);
    (void)close(fp->listener);
    (void)close(fp->wake);
    (void)pthread_cond_destroy(&fp->changed);
    (void)pthread_mutex_destroy(&fp->mutex);
    free(fp);
}

void frameproxy_hold(struct frameproxy *fp)
{
    (void)pthread_mutex_lock(&fp->mutex);
    fp->hold_wanted = true;
    wake(fp);
    while (!fp->holding) {
        (void)pthread_cond_wait(&fp->changed, &fp->mutex);
    }
    (void)pthread_mutex_unlock(&fp->mutex);
}

void frameproxy_release(struct frameproxy *fp)
{
    (void)pthread_mutex_lock(&fp->mutex);
    fp->hold_wanted = false;
    wake(fp);
    while (fp->holding) {
        (void)pthread_cond_wait(&fp->changed, &fp->mutex);
    }
    (void)pthread_mutex_unlock(&fp->mutex);
}

void frameproxy_swallow_reply(struct frameproxy *fp, int32_t opcode, const char *path_substring,
                              int nth)
{
    framerules_arm(fp->rules, false, opcode, path_substring, nth);
}

void frameproxy_swallow_request(struct frameproxy *fp, int32_t opcode, const char *path_substring,
                                int nth)
{
    framerules_arm(fp->rules, true, opcode, path_substring, nth);
}

void frameproxy_disarm(struct frameproxy *fp)
{
    framerules_disarm(fp->rules);
}

unsigned frameproxy_hits(struct frameproxy *fp)
{
    return framerules_hits(fp->rules);
}

bool frameproxy_await_hit(struct frameproxy *fp, int timeout_ms)
{
    return framerules_await(fp->rules, timeout_ms);
}

void frameproxy_grant(struct frameproxy *fp, uint32_t timeout_ms)
{
    atomic_store(&fp->granted_ms, timeout_ms);
}

void frameproxy_speak_3_4(struct frameproxy *fp)
{
    atomic_store(&fp->old, true);
}

unsigned frameproxy_count(struct frameproxy *fp, int32_t opcode)
{
    return framerules_count(fp->rules, opcode);
}
