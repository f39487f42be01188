/* SPDX-License-Identifier: Apache-2.0 */
/* Linux tells by sock_diag(7), at once: the answer is there when the question has been sent. */
#include "owner.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_SIZE = 1024 };

static void put_end(const struct sockaddr_storage *at, __be32 address[4], __be16 *port)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)at;
    if (at->ss_family == AF_INET) {
        memcpy(address, &four->sin_addr, sizeof four->sin_addr);
        *port = four->sin_port;
    } else {
        memcpy(address, &six->sin6_addr, sizeof six->sin6_addr);
        *port = six->sin6_port;
    }
}

static bool ask(int fd, const struct sockaddr_storage *from, const struct sockaddr_storage *to,
                uint32_t number)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } question = {.head = {.nlmsg_len = sizeof question,
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST,
                           .nlmsg_seq = number},
                  .body = {.sdiag_family = (uint8_t)from->ss_family,
                           .sdiag_protocol = IPPROTO_TCP,
                           .idiag_states = ~0u,
                           .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    put_end(from, question.body.id.idiag_src, &question.body.id.idiag_sport);
    put_end(to, question.body.id.idiag_dst, &question.body.id.idiag_dport);
    return send(fd, &question, sizeof question, 0) == (ssize_t)sizeof question;
}

bool zks__owner_find(int fd, const struct sockaddr_storage *from, const struct sockaddr_storage *to,
                     uid_t *uid)
{
    static _Atomic uint32_t numbers;
    union {
        struct nlmsghdr head;
        char bytes[ANSWER_SIZE];
    } answer;
    uint32_t number = ++numbers;
    ssize_t n = 0;
    if (from->ss_family != to->ss_family || !ask(fd, from, to, number)) {
        return false;
    }
    do {
        n = recv(fd, &answer, sizeof answer, 0);
    } while (n >= (ssize_t)sizeof answer.head && answer.head.nlmsg_seq != number);
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return false;
    }
    /* A socket that its process has closed is nobody's; the kernel says root. */
    const struct inet_diag_msg *told = NLMSG_DATA(&answer.head);
    *uid = told->idiag_uid;
    return told->idiag_inode != 0;
}

static bool finds_us(int fd, const struct sockaddr_storage *at, socklen_t len)
{
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    uid_t uid = 0;
    int own = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = own >= 0 && connect(own, (const struct sockaddr *)at, len) == 0 &&
                 getsockname(own, (struct sockaddr *)&from, &from_len) == 0 &&
                 zks__owner_find(fd, &from, at, &uid) && uid == geteuid();
    if (own >= 0) {
        (void)close(own);
    }
    return found;
}

int zks__owner_open(const struct sockaddr_storage *at, socklen_t len)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (fd >= 0 && !finds_us(fd, at, len)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}
