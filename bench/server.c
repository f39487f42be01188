/* SPDX-License-Identifier: Apache-2.0 */
/* Measures a server from outside, over ZooKeeper's protocol and nothing else: a worker of
 * bench/run_server.
 *
 *   bench_server HOST:PORT pairs N WINDOW   creates and deletes N znodes, WINDOW requests under way
 *   bench_server HOST:PORT reads N          reads a znode N times, one after the other
 *   bench_server HOST:PORT idle N           opens N sessions, says so, and keeps them until its input ends
 *
 * It prints seconds. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 1 << 16, CREATE = 1, DELETE = 2, GET = 4, CLOSE = -11 };

struct connection {
    int fd;
    unsigned char out[FRAME_MAX];
    size_t out_len;
    unsigned char in[FRAME_MAX];
    size_t in_len;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(struct connection *c, const void *what, size_t len)
{
    memcpy(c->out + c->out_len, what, len);
    c->out_len += len;
}

static void put_int(struct connection *c, int32_t value)
{
    const uint32_t bytes = htonl((uint32_t)value);
    put(c, &bytes, sizeof bytes);
}

static void put_text(struct connection *c, const char *text)
{
    put_int(c, (int32_t)strlen(text));
    put(c, text, strlen(text));
}

static size_t begin(struct connection *c)
{
    put_int(c, 0);
    return c->out_len;
}

static void finish(struct connection *c, size_t at)
{
    const uint32_t len = htonl((uint32_t)(c->out_len - at));
    memcpy(c->out + at - 4, &len, sizeof len);
}

static void flush(struct connection *c)
{
    for (size_t sent = 0; sent < c->out_len;) {
        ssize_t n = send(c->fd, c->out + sent, c->out_len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            fail("send");
        }
        sent += (size_t)n;
    }
    c->out_len = 0;
}

static size_t frame_len(const struct connection *c)
{
    uint32_t len;
    memcpy(&len, c->in, sizeof len);
    return c->in_len >= 4 ? 4 + (size_t)ntohl(len) : SIZE_MAX;
}

/* Waits for the next answer; what is wrong with it ends the program. */
static void take(struct connection *c, bool greeting)
{
    while (frame_len(c) > c->in_len) {
        ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
        if (n <= 0) {
            fail("recv");
        }
        c->in_len += (size_t)n;
    }
    uint32_t err = 0;
    size_t len = frame_len(c);
    if (!greeting) {
        memcpy(&err, c->in + 16, sizeof err);
    }
    if (err != 0) {
        (void)fprintf(stderr, "error %d\n", (int)ntohl(err));
        exit(1);
    }
    memmove(c->in, c->in + len, c->in_len - len);
    c->in_len -= len;
}

static struct connection *connect_to(const char *address)
{
    const int on = 1;
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const unsigned char password[16];
    if (c == NULL) {
        fail("malloc");
    }
    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof at) != 0) {
        fail(address);
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    size_t frame = begin(c);
    put_int(c, 0);
    put_int(c, 0);
    put_int(c, 0);
    put_int(c, 60000);
    put_int(c, 0);
    put_int(c, 0);
    put_int(c, sizeof password);
    put(c, password, sizeof password);
    put(c, "", 1);
    finish(c, frame);
    flush(c);
    take(c, true);
    return c;
}

static void close_session(struct connection *c)
{
    size_t frame = begin(c);
    put_int(c, 1);
    put_int(c, CLOSE);
    finish(c, frame);
    flush(c);
    take(c, false);
    (void)close(c->fd);
    free(c);
}

/* The n-th request of pairs of a create and a delete of an ephemeral znode. */
static void put_request(struct connection *c, int n)
{
    char path[32];
    size_t frame = begin(c);
    (void)snprintf(path, sizeof path, "/bench-%d", n / 2);
    put_int(c, n);
    put_int(c, n % 2 == 0 ? CREATE : DELETE);
    put_text(c, path);
    if (n % 2 == 0) {
        put_text(c, "host:1234");
        put_int(c, 1);
        put_int(c, 31);
        put_text(c, "world");
        put_text(c, "anyone");
        put_int(c, 1);
    } else {
        put_int(c, -1);
    }
    finish(c, frame);
}

static void pairs(struct connection *c, int n, int window)
{
    int sent = 0;
    for (int taken = 0; taken < 2 * n;) {
        while (sent < 2 * n && sent - taken < window && c->out_len < FRAME_MAX / 2) {
            put_request(c, sent++);
        }
        flush(c);
        /* All that has come, so that what is sent next goes together. */
        do {
            take(c, false);
            taken++;
        } while (taken < sent && frame_len(c) <= c->in_len);
    }
}

static void reads(struct connection *c, int n)
{
    for (int i = 0; i < n; i++) {
        size_t frame = begin(c);
        put_int(c, i);
        put_int(c, GET);
        put_text(c, "/zookeeper");
        put(c, "", 1);
        finish(c, frame);
        flush(c);
        take(c, false);
    }
}

static void idle(const char *address, int n)
{
    struct connection **all = calloc((size_t)n, sizeof(struct connection *));
    for (int i = 0; all != NULL && i < n; i++) {
        all[i] = connect_to(address);
    }
    (void)printf("open\n");
    (void)fflush(stdout);
    (void)getchar();
    for (int i = 0; all != NULL && i < n; i++) {
        close_session(all[i]);
    }
    free(all);
}

int main(int argc, char **argv)
{
    int n = argc > 3 ? atoi(argv[3]) : 0;
    if (n < 1) {
        (void)fprintf(stderr, "usage: bench_server HOST:PORT pairs|reads|idle N [WINDOW]\n");
        return 2;
    }
    if (strcmp(argv[2], "idle") == 0) {
        idle(argv[1], n);
        return 0;
    }
    struct connection *c = connect_to(argv[1]);
    double began = now();
    if (strcmp(argv[2], "pairs") == 0) {
        pairs(c, n, argc > 4 ? atoi(argv[4]) : 1);
    } else {
        reads(c, n);
    }
    (void)printf("%.9f\n", now() - began);
    close_session(c);
    return 0;
}
