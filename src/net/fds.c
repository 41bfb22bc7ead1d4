/* SPDX-License-Identifier: MIT */
/*
 * Descriptors passed over unix sockets.
 *
 * Whatever the caller has room for, the kernel is given room for all that one
 * message can carry, so that none is dropped unseen; what is too many is
 * closed here.
 *
 * Threads: see celadon/transfer.h.
 *
 * Tests: unit/test_transfer.c
 */
#include "celadon/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "celadon/net.h"

/* Room for credentials and the like, which a socket may be set to bring. */
#define OTHERS 512

ssize_t
cel_send_fds(int fd, const void *buf, size_t len, const int *fds, size_t nfds,
             cel_time deadline)
{
    struct iovec piece = {(void *)(uintptr_t)buf, len};
    struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};

    if (len == 0 || nfds == 0 || nfds > CEL_FDS_MOST) {
        return -EINVAL;
    }
    size_t room = CMSG_SPACE(nfds * sizeof(*fds));
    struct cmsghdr *head = cel__alloc_zeroed(1, room);
    if (head == NULL) {
        return -ENOMEM;
    }
    msg.msg_control = head;
    msg.msg_controllen = room;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(nfds * sizeof(*fds));
    memcpy(CMSG_DATA(head), fds, nfds * sizeof(*fds));
    ssize_t n = cel_sendmsg(fd, &msg, 0, deadline);
    free(head);
    return n;
}

/*
 * Take the descriptors out of `msg`: `*came` counts them, `fds` gets the
 * first `room`; the others are closed.
 */
static void
take(struct msghdr *msg, int *fds, size_t room, size_t *came)
{
    *came = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head != NULL;
         head = CMSG_NXTHDR(msg, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(fd), sizeof(fd));
            if (*came < room) {
                fds[*came] = fd;
            }
            else {
                (void)cel__sys_close(fd);
            }
            ++*came;
        }
    }
}

ssize_t
cel_recv_fds(int fd, void *buf, size_t len, int *fds, size_t *nfds,
             cel_time deadline)
{
    struct iovec piece = {buf, len};
    struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};
    size_t room = CMSG_SPACE(CEL_FDS_MOST * sizeof(int)) + OTHERS;
    size_t came;

    msg.msg_control = cel__alloc(room);
    if (msg.msg_control == NULL) {
        return -ENOMEM;
    }
    msg.msg_controllen = room;
    ssize_t n = cel_recvmsg(fd, &msg, MSG_CMSG_CLOEXEC, deadline);
    if (n < 0) {
        goto free_control;
    }
    take(&msg, fds, *nfds, &came);
    if ((msg.msg_flags & MSG_CTRUNC) == 0) {
        *nfds = came;
        goto free_control;
    }
    /* There was room enough: the kernel could not open them all here. */
    for (size_t i = 0; i < came && i < *nfds; i++) {
        (void)cel__sys_close(fds[i]);
    }
    n = -EMFILE;

free_control:
    free(msg.msg_control);
    return n;
}
