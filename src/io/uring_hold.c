/* SPDX-License-Identifier: MIT */
/*
 * Files that a ring holds, so that requests may name them by their place.
 *
 * The kernel need then not look them up, nor count who uses them: an echo at
 * 64 and 1000 connections costs a server 2 % less (Linux 6.18, an EPYC).  A
 * file's place is its descriptor's number.
 *
 * What is held stays open whatever is closed.  So forget() has the ring let go
 * of a file, and a ring lets go of all before it is closed, for the kernel
 * takes it apart some time later.  A child closes the rings that it inherits
 * as soon as it begins: in there the connections would outlive the parent.
 *
 * Threads: see uring_ring.h; the list of rings is anybody's.
 *
 * Tests: unit/test_uring_hold.c
 */
#include "io/uring_ring.h"

#include <errno.h>
#include <pthread.h>

#include "base/fork.h"
#include "base/sys.h"

/* Places for files: 128 KiB of the kernel's memory, or less where the limit
   of descriptors is lower. */
#define NPLACES       16384
#define NPLACES_LEAST 64

/* Rings of one process that may hold files; others do without. */
#define NRINGS 64

/* Their descriptors + 1; 0: free.  Relaxed: a child sees what its own thread
   saw when it forked, and what that did not see has nothing to close. */
static atomic_int rings[NRINGS];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
close_in_child(void)
{
    for (int i = 0; i < NRINGS; i++) {
        int fd = atomic_load_explicit(&rings[i], memory_order_relaxed) - 1;
        atomic_store_explicit(&rings[i], 0, memory_order_relaxed);
        if (fd < 0) {
            continue;
        }
        /* Who closed all descriptors may have another there by now. */
        int err = cel__sys_io_uring_enter(fd, 0, 0, 0, NULL, 0);
        if (err != -EBADF && err != -EOPNOTSUPP) {
            (void)cel__sys_close(fd);
        }
    }
}

static void
watch_forks(void)
{
    cel__fork_handle(NULL, NULL, close_in_child);
}

bool
cel__uring_list_replace(int before, int after)
{
    (void)pthread_once(&once, watch_forks);
    for (int i = 0; i < NRINGS; i++) {
        int found = before;
        if (atomic_compare_exchange_strong_explicit(&rings[i], &found, after,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void
cel__uring_let_go_of_all(struct cel__uring_ring *ring)
{
    if (ring->table == CEL__URING_TABLE_MADE) {
        (void)cel__sys_io_uring_register(ring->fd, CEL__URING_UNREGISTER_FILES,
                                         NULL, 0);
    }
}

/* As large as the limit of descriptors allows. */
static void
make_table(struct cel__uring_ring *ring)
{
    struct cel__uring_files files = {
        .count = NPLACES,
        .flags = CEL__URING_FILES_SPARSE,
    };
    int err = -EMFILE;

    for (; err == -EMFILE && files.count >= NPLACES_LEAST; files.count /= 4) {
        err = cel__sys_io_uring_register(ring->fd, CEL__URING_REGISTER_FILES,
                                         &files, sizeof(files));
    }
    ring->table = err < 0 ? CEL__URING_TABLE_REFUSED : CEL__URING_TABLE_MADE;
}

bool
cel__uring_place(const struct cel__uring_ring *ring, int place, int32_t file)
{
    struct io_uring_files_update update = {
        .offset = (uint32_t)place,
        .fds = (uintptr_t)&file,
    };

    return cel__sys_io_uring_register(ring->fd, CEL__URING_UPDATE_FILES,
                                      &update, 1) >= 0;
}

bool
cel__uring_hold(struct cel__uring_ring *ring, int fd)
{
    if (ring->listed && ring->table == CEL__URING_TABLE_NONE) {
        make_table(ring);
    }
    return ring->table == CEL__URING_TABLE_MADE &&
           cel__uring_place(ring, fd, fd);
}
