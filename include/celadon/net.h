/* SPDX-License-Identifier: MIT */
/*
 * Sockets, pipes and addresses: the blocking calls of POSIX, which suspend
 * the coroutine instead of the thread.
 *
 * Descriptors are plain ints.  Those that this library makes are non-blocking
 * and close-on-exec from birth, and owned: the library keeps them registered
 * with the kernel and remembers what they are ready for, so a call that finds
 * its data is one system call.  An owned descriptor is closed by cel_close()
 * and by nothing else: over io_uring close(2) may leave its connection open.
 * Any other descriptor may be passed too, in any mode; each wait on it costs
 * two system calls more.  cel_own() makes one owned.
 *
 * Any number of coroutines may wait for one descriptor; they are served in
 * the order they came.  A waiting call holds its buffers until it returns.
 *
 * A call whose result is there at once does not wait, but every 64th such
 * call of a coroutine lets the others run ("may suspend").
 *
 * Every call that may suspend returns -EPERM on a thread that runs no
 * coroutines, and, where it would have had to wait,
 *   -ETIMEDOUT   `deadline` passed first; one attempt is made in any case
 *   -ECANCELED   the coroutine was cancelled, or cel_close() closed the
 *                descriptor under it
 *   -ENOMEM      no memory to wait with
 * "as for all" below means these four.  After an error the call has had no
 * effect.  No call here raises SIGPIPE, save cel_write() (see there).
 *
 * Threads: any that runs coroutines; a descriptor may be used by several, but
 * each has its own record of it: cel_close() wakes only the waiters of its
 * own thread, so the others must have let go of the descriptor before, by
 * cel_disown() where it is owned there.
 */
#ifndef CELADON_NET_H
#define CELADON_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Making descriptors.
 */

/** Several sockets may listen on the address, one a thread; the kernel deals
    connections out (SO_REUSEPORT). */
#define CEL_REUSEPORT 1
/** An IPv6 socket takes no IPv4 (IPV6_V6ONLY); without this it does. */
#define CEL_V6ONLY 2
/** Accepted TCP connections send small pieces at once (TCP_NODELAY). */
#define CEL_NODELAY 4

/**
 * Make a stream socket that listens on `addr`.
 *
 * `backlog` is the number of connections that may wait to be accepted; 0
 * stands for as many as the system allows.  `flags`: CEL_REUSEPORT,
 * CEL_V6ONLY, CEL_NODELAY.  SO_REUSEADDR is set.
 *
 * Does not suspend.  Returns the descriptor, -EPERM (the thread runs no
 * coroutines), -EINVAL (unknown flags), or as socket(2), bind(2), listen(2).
 */
CEL_API CEL_NODISCARD int cel_listen(const struct sockaddr *addr,
                                     socklen_t addrlen, int backlog,
                                     int flags);

/**
 * Take a connection from the listening socket `fd`.
 *
 * Suspends until there is one or `deadline`; may suspend even so.  `addr` and
 * `addrlen` as accept(2); both may be NULL.  Connections that failed before
 * they were taken are passed over.
 *
 * Where descriptors or memory are short (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM)
 * the connection stays where it is, and the call waits for better times: 10
 * ms, then twice as long each time up to a second.  The log tells, at most
 * once a minute.
 *
 * Returns the connection's descriptor, or a negative errno:
 *   -EMFILE, …   the shortage lasted until `deadline`
 *   others       as for all, and as accept(2)
 */
CEL_API CEL_NODISCARD int cel_accept(int fd, struct sockaddr *addr,
                                     socklen_t *addrlen, cel_time deadline);

/**
 * Make a stream socket and connect it to `addr`.
 *
 * Suspends until the connection stands or failed, or `deadline`; then nothing
 * is left of it.  Returns the descriptor, or a negative errno: as for all,
 * and as socket(2) and connect(2).
 */
CEL_API CEL_NODISCARD int cel_connect(const struct sockaddr *addr,
                                      socklen_t addrlen, cel_time deadline);

/**
 * Make a datagram socket (UDP, or unix) bound to `addr`; port 0: any.
 *
 * `flags`: CEL_REUSEPORT, CEL_V6ONLY.  Does not suspend.  Returns the
 * descriptor, -EPERM (the thread runs no coroutines), -EINVAL (unknown
 * flags), or as socket(2) and bind(2).
 */
CEL_API CEL_NODISCARD int cel_udp(const struct sockaddr *addr,
                                  socklen_t addrlen, int flags);

/**
 * Make a datagram socket (UDP, or unix) whose peer is `addr`: cel_send()
 * sends there, and cel_recv() receives what comes from there alone.  A
 * later call may tell that the peer is not there, as connect(2).
 *
 * Does not suspend.  Returns the descriptor, -EPERM (the thread runs no
 * coroutines), or as socket(2) and connect(2).
 */
CEL_API CEL_NODISCARD int cel_udp_connect(const struct sockaddr *addr,
                                          socklen_t addrlen);

/**
 * Make two stream sockets connected to each other.
 *
 * Does not suspend.  Returns 0, -EPERM (the thread runs no coroutines),
 * -EMFILE, -ENFILE, -ENOMEM, or as socketpair(2); on error `fds` is as it was.
 */
CEL_API CEL_NODISCARD int cel_socketpair(int fds[2]);

/**
 * Make a pipe: fds[0] is read from, fds[1] written to.
 * Does not suspend.  Returns as cel_socketpair(), and as pipe(2).
 */
CEL_API CEL_NODISCARD int cel_pipe(int fds[2]);

/**
 * Make `fd`, which another library opened, owned: it becomes non-blocking,
 * and from now on is closed by cel_close() only, or given back by
 * cel_disown().  An owned one stays as it is.
 *
 * Does not suspend.  Returns 0, -EPERM (the thread runs no coroutines),
 * -EBADF, -ENOMEM, or as fcntl(2).
 */
CEL_API CEL_NODISCARD int cel_own(int fd);

/**
 * Give `fd` back: this thread forgets all about it.  Calls that wait for it
 * are cancelled.  It stays open and non-blocking.  Does not suspend.
 */
CEL_API void cel_disown(int fd);

/**
 * Close `fd`, owned or not.  Calls that wait for it are cancelled, and never
 * meet the number's next owner.
 *
 * Does not suspend.  Returns as close(2), but never -EINTR; `fd` is closed in
 * any case but -EBADF.
 */
CEL_API int cel_close(int fd);

/**
 * End one or both directions of the socket `fd`: SHUT_RD, SHUT_WR, SHUT_RDWR.
 * Does not suspend.  Returns as shutdown(2).
 */
CEL_API int cel_shutdown(int fd, int how);

/*
 * Moving bytes.
 */

/**
 * Receive up to `len` bytes from the socket `fd` into `buf`.
 *
 * Suspends until there is something, the peer has closed, or `deadline`; may
 * suspend even so.  In all else as recv(2), save that MSG_WAITALL is refused:
 * see cel_recv_all().  MSG_DONTWAIT, MSG_OOB and MSG_ERRQUEUE never wait, but
 * return -EAGAIN.
 *
 * Returns the number of bytes, 0 at end of stream, or a negative errno:
 *   -EINVAL      `flags` has MSG_WAITALL
 *   others       as for all, and as recv(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_recv(int fd, void *buf, size_t len,
                                       int flags, cel_time deadline);

/**
 * Send up to `len` bytes of `buf` on the socket `fd`.
 *
 * Suspends until some fit into the socket's buffer or `deadline`; may suspend
 * even so.  In all else as send(2).  MSG_DONTWAIT never waits, but returns
 * -EAGAIN.  Returns the number of bytes, which may be less than `len`, or a
 * negative errno: as for all, and as send(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_send(int fd, const void *buf, size_t len,
                                       int flags, cel_time deadline);

/**
 * Receive exactly `len` bytes from the stream socket `fd`.
 *
 * Suspends until they are there, the peer has closed, or `deadline`; may
 * suspend even so.  No other coroutine that reads gets bytes in between.
 *
 * Returns `len`; or fewer, where the stream ended or an error came after
 * that many, which are in `buf`: the next call tells which; or, where there
 * was nothing before it, 0 (the stream ended) or a negative errno: as for
 * all, and as recv(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_recv_all(int fd, void *buf, size_t len,
                                           cel_time deadline);

/**
 * Send exactly `len` bytes of `buf` on the stream socket `fd`.
 *
 * Suspends until the last one is in the socket's buffer or `deadline`; may
 * suspend even so.  No other coroutine that sends gets bytes in between.
 *
 * Returns `len`; or fewer, where an error came after that many; or, where it
 * came before all, a negative errno: as for all, and as send(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_send_all(int fd, const void *buf, size_t len,
                                           cel_time deadline);

/**
 * Receive a datagram of up to `len` bytes, and whom it came from, from `fd`.
 *
 * Suspends until there is one or `deadline`; may suspend even so.  `addr` and
 * `addrlen` as recvfrom(2); both may be NULL.  A longer one is cut.  Returns
 * its size, or a negative errno: as for all, and as recvfrom(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_recvfrom(int fd, void *buf, size_t len,
                                           struct sockaddr *addr,
                                           socklen_t *addrlen,
                                           cel_time deadline);

/**
 * Send the `len` bytes of `buf` as a datagram from `fd` to `addr`; NULL: to
 * whom it is connected.
 *
 * Suspends until the socket's buffer has room for it or `deadline`; may
 * suspend even so.  Returns `len`, or a negative errno: as for all, and as
 * sendto(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_sendto(int fd, const void *buf, size_t len,
                                         const struct sockaddr *addr,
                                         socklen_t addrlen, cel_time deadline);

/**
 * recvmsg(2): scattered buffers, control data, flags.
 *
 * Suspends as cel_recv() does, and takes its `flags`.  Returns as cel_recv().
 */
CEL_API CEL_NODISCARD ssize_t cel_recvmsg(int fd, struct msghdr *msg,
                                          int flags, cel_time deadline);

/**
 * sendmsg(2): gathered buffers, control data, flags.
 *
 * Suspends as cel_send() does, and takes its `flags`.  Returns as cel_send().
 */
CEL_API CEL_NODISCARD ssize_t cel_sendmsg(int fd, const struct msghdr *msg,
                                          int flags, cel_time deadline);

/**
 * Read up to `len` bytes from `fd`: a pipe, a terminal, a character device,
 * or a file, whose reads may keep the thread waiting for the disk (those of
 * file.h don't).
 *
 * Suspends until there is something, all writers have closed, or `deadline`;
 * may suspend even so.  Returns the number of bytes, 0 at the end, or a
 * negative errno: as for all, and as read(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_read(int fd, void *buf, size_t len,
                                       cel_time deadline);

/**
 * Write up to `len` bytes of `buf` to `fd`, as cel_read() reads.
 *
 * Suspends until some fit or `deadline`; may suspend even so.  Where nobody
 * can read a pipe any more the kernel raises SIGPIPE, as write(2) has it;
 * programs that write to pipes ignore it.  A descriptor that is not owned and
 * in blocking mode gets at most PIPE_BUF bytes a call.
 *
 * Returns the number of bytes, which may be less than `len`, or a negative
 * errno: as for all, and as write(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_write(int fd, const void *buf, size_t len,
                                        cel_time deadline);

/** What a descriptor can be ready for; the values of poll(2). */
#define CEL_READABLE 0x001 /**< something, or the end, can be read */
#define CEL_URGENT   0x002 /**< urgent data */
#define CEL_WRITABLE 0x004 /**< something fits */
#define CEL_FAILED   0x008 /**< an error waits to be fetched */
#define CEL_HUNG_UP  0x010 /**< the other side is gone */

/**
 * Wait until `fd` is ready for one of `events`: CEL_READABLE, CEL_URGENT,
 * CEL_WRITABLE.  CEL_FAILED and CEL_HUNG_UP are always waited for.  For
 * libraries that make their system calls themselves.
 *
 * Suspends until then or `deadline`; may suspend even so.  What is reported
 * may be gone when the coroutine runs, if others use `fd` too.  A file that
 * can't be waited for is always ready.
 *
 * Returns what it is ready for, or a negative errno: as for all, and as
 * epoll_ctl(2), among them -EBADF.
 */
CEL_API CEL_NODISCARD int cel_wait_fd(int fd, int events, cel_time deadline);

/*
 * Addresses.
 */

/** Enough for any text of cel_addr_format(). */
#define CEL_ADDR_TEXT 128

/**
 * Read the numeric address `text` into `*addr` and its length into `*addrlen`.
 * Forms:
 *   127.0.0.1:80            IPv4
 *   [::1]:80                IPv6; a scope may follow: [fe80::1%eth0]:80
 *   *:80                    any IPv4 address of this machine
 *   unix:/run/server.sock   a unix socket's path
 *   unix:@name              a unix socket's abstract name
 *
 * Does not suspend; asks no name server.  Returns 0 or -EINVAL; on error
 * `*addr` and `*addrlen` are as they were.
 */
CEL_API CEL_NODISCARD int cel_addr_parse(const char *text,
                                         struct sockaddr_storage *addr,
                                         socklen_t *addrlen);

/**
 * Write the address `addr` of `addrlen` bytes into `text`, of `size` bytes, in
 * the forms of cel_addr_parse(); a unix socket without a name is "unix:".
 * Control characters in a unix socket's name become "?".
 *
 * Does not suspend.  Returns the length of the text, -EINVAL (no address of
 * these families) or -ENOSPC (`size` is too small).
 */
CEL_API int cel_addr_format(const struct sockaddr *addr, socklen_t addrlen,
                            char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
