/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "job.h"

bool cli_link_send(int fd, enum cli_link_kind kind, int value)
{
    struct cli_link message;
    memset(&message, 0, sizeof message);
    message.kind = kind;
    message.value = value;
    /* The socket keeps messages apart, so the path at the end can be left out. */
    return send(fd, &message, offsetof(struct cli_link, node), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

int cli_link_receive(int fd, struct cli_link *message)
{
    memset(message, 0, sizeof *message);
    ssize_t got = recv(fd, message, sizeof *message, MSG_DONTWAIT);
    if (got > 0) {
        message->node[sizeof message->node - 1] = '\0';
        return 1;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
