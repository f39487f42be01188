#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "word.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ensemble.h"

enum { ANSWER_S = 5 };

static struct addrinfo *resolved(const char *server)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const char *port = strrchr(server, ':');
    char *host = strndup(server, port != NULL ? (size_t)(port - server) : 0);
    int rc =
        host != NULL && port != NULL ? getaddrinfo(host, port + 1, &hints, &found) : EAI_NONAME;
    free(host);
    if (rc != 0) {
        ens_fail("\"%s\": %s", server, gai_strerror(rc));
    }
    return found;
}

char *word_ask(const char *server, const char *word)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    char piece[4096];
    ssize_t got = 0;
    const struct timeval limit = {.tv_sec = ANSWER_S};
    struct addrinfo *address = resolved(server);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (to == NULL || fd < 0) {
        ens_fail("cannot ask %s: %s", server, strerror(errno));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        send(fd, word, strlen(word), MSG_NOSIGNAL) == (ssize_t)strlen(word)) {
        while ((got = read(fd, piece, sizeof piece)) > 0) {
            (void)fwrite(piece, 1, (size_t)got, to);
        }
    }
    (void)close(fd);
    (void)fclose(to);
    freeaddrinfo(address);
    if (text == NULL) {
        ens_fail("no memory");
    }
    return text;
}

size_t word_figure(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    return at != NULL ? (size_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

int word_release(const char *server)
{
    static const char before[] = "version: ";
    char *told = word_ask(server, "srvr");
    const char *at = strstr(told, before);
    int major = 0;
    int minor = 0;
    if (at == NULL || sscanf(at + sizeof before - 1, "%d.%d", &major, &minor) != 2) {
        ens_fail("%s tells no version: \"%s\"", server, told);
    }
    free(told);
    return 100 * major + minor;
}
