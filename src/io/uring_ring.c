/* SPDX-License-Identifier: MIT */
/*
 * Setting a ring up, and moving entries through it.
 *
 * What newer kernels offer is asked for first and given up step by step:
 * NO_SQARRAY came with 6.6, NO_IOWAIT with 6.15.  What 6.1 has is required:
 * DEFER_TASKRUN lets the kernel complete requests only while their thread is
 * in enter(), so nothing else runs on it, and a completion is never written
 * between two of our own instructions.
 *
 * The descriptor is not registered with the thread, which would save 20 ns a
 * wait: a program that closes all its descriptors could then take the
 * eventfd away without our ever noticing.
 *
 * Threads: see uring_ring.h.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring_ring.h"

#include <errno.h>
#include <time.h>

#include "base/check.h"
#include "base/sys.h"
#include "base/sys_memory.h"
#include "io/uring_probe.h"

/* Completions a request: many more can be under way than are submitted at a
   time.  What does not fit waits in the kernel, at a price. */
#define CQES_PER_SQE 8

/* For so many milliseconds a lack of locked memory may pass. */
#define PATIENCE 500

/* What the oldest kernel that will do has. */
#define REQUIRED                                                              \
    (CEL__URING_CQSIZE | CEL__URING_CLAMP | CEL__URING_SUBMIT_ALL |           \
     CEL__URING_SINGLE_ISSUER | CEL__URING_DEFER_TASKRUN)

#define REQUIRED_FEATURES (CEL__URING_HAS_SINGLE_MMAP | CEL__URING_HAS_EXT_ARG)

/* With patience: what a ring had locked counts until a thread of the kernel
   has taken the ring apart, some time after it was closed. */
static int
setup(struct io_uring_params *params, uint32_t nsqes, uint32_t flags)
{
    static const struct timespec millisecond = {0, 1000000};
    int fd;

    for (int i = 0;; i++) {
        *params = (struct io_uring_params){
            .flags = flags,
            .cq_entries = CQES_PER_SQE * nsqes,
        };
        fd = cel__sys_io_uring_setup(nsqes, params);
        if (fd != -ENOMEM || i == PATIENCE) {
            return fd;
        }
        (void)nanosleep(&millisecond, NULL);
    }
}

static int
map_shared(void **out, size_t len, int fd, off_t offset)
{
    *out = NULL;
    int err = cel__sys_mmap(out, len, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_POPULATE, fd, offset);
    if (err < 0) {
        return err;
    }
    /* A child that moved an index would move its parent's. */
    err = cel__sys_madvise(*out, len, MADV_DONTFORK);
    if (err < 0) {
        (void)cel__sys_munmap(*out, len);
    }
    return err;
}

/* Map what `params` describes; ring->fd is set. */
static int
map(struct cel__uring_ring *ring, const struct io_uring_params *params)
{
    void *sqes;

    ring->rings_len = params->cq_off.cqes +
                      params->cq_entries * sizeof(struct io_uring_cqe);
    if ((params->flags & CEL__URING_NO_SQARRAY) == 0) {
        size_t end = params->sq_off.array +
                     params->sq_entries * sizeof(uint32_t);
        ring->rings_len = ring->rings_len < end ? end : ring->rings_len;
    }
    ring->sqes_len = params->sq_entries * sizeof(struct io_uring_sqe);
    int err = map_shared(&ring->rings, ring->rings_len, ring->fd,
                         CEL__URING_OFF_RINGS);
    if (err < 0) {
        return err;
    }
    err = map_shared(&sqes, ring->sqes_len, ring->fd, CEL__URING_OFF_SQES);
    if (err < 0) {
        (void)cel__sys_munmap(ring->rings, ring->rings_len);
        return err;
    }
    ring->sqes = sqes;
    return 0;
}

static void *
at(const struct cel__uring_ring *ring, uint32_t offset)
{
    return (char *)ring->rings + offset;
}

/* Find the parts of what was mapped. */
static void
locate(struct cel__uring_ring *ring, const struct io_uring_params *params)
{
    ring->enter_flags = CEL__URING_GETEVENTS;
    if ((params->features & CEL__URING_HAS_NO_IOWAIT) != 0) {
        /* Else an idle server looks as if it waited for its disks. */
        ring->enter_flags |= CEL__URING_NO_IOWAIT;
    }
    /* Before 6.13 a file that was let go of stayed open as long as any older
       request was under way. */
    ring->listed = (params->features & CEL__URING_HAS_NO_IOWAIT) != 0 &&
                   cel__uring_list_replace(0, ring->fd + 1);
    ring->table = CEL__URING_TABLE_NONE;
    ring->nsqes = params->sq_entries;
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    ring->sq_head = at(ring, params->sq_off.head);
    ring->sq_tail = at(ring, params->sq_off.tail);
    ring->cq_head = at(ring, params->cq_off.head);
    ring->cq_tail = at(ring, params->cq_off.tail);
    ring->cqes = at(ring, params->cq_off.cqes);
    ring->tail = 0;
    ring->head = 0;
    if ((params->flags & CEL__URING_NO_SQARRAY) == 0) {
        uint32_t *array = at(ring, params->sq_off.array);
        for (uint32_t i = 0; i < params->sq_entries; i++) {
            array[i] = i;
        }
    }
}

int
cel__uring_ring_open(struct cel__uring_ring *ring, uint32_t nsqes,
                     const char **reason)
{
    struct io_uring_params params;

    ring->fd = setup(&params, nsqes, REQUIRED | CEL__URING_NO_SQARRAY);
    if (ring->fd == -EINVAL) {
        ring->fd = setup(&params, nsqes, REQUIRED);
    }
    if (ring->fd < 0) {
        return cel__uring_probe_explain(ring->fd, reason);
    }
    int err = (params.features & REQUIRED_FEATURES) == REQUIRED_FEATURES
                  ? map(ring, &params)
                  : -EINVAL;
    if (err < 0) {
        (void)cel__sys_close(ring->fd);
        ring->fd = -1;
        return cel__uring_probe_explain(err, reason);
    }
    locate(ring, &params);
    return 0;
}

void
cel__uring_ring_close(struct cel__uring_ring *ring)
{
    if (ring->fd >= 0) {
        cel__uring_let_go_of_all(ring);
        cel__uring_ring_unmap(ring);
        (void)cel__sys_close(ring->fd);
        ring->fd = -1;
    }
}

void
cel__uring_ring_unmap(struct cel__uring_ring *ring)
{
    if (ring->listed) {
        (void)cel__uring_list_replace(ring->fd + 1, 0);
    }
    (void)cel__sys_munmap(ring->sqes, ring->sqes_len);
    (void)cel__sys_munmap(ring->rings, ring->rings_len);
}

void
cel__uring_ring_drop(struct cel__uring_ring *ring)
{
    if (ring->fd >= 0 && !ring->listed) {
        (void)cel__sys_close(ring->fd);
    }
    ring->fd = -1;
}

int
cel__uring_ring_enter(struct cel__uring_ring *ring, uint32_t nwait,
                      cel_time timeout)
{
    struct __kernel_timespec span;
    struct io_uring_getevents_arg arg = {0};
    uint32_t flags = ring->enter_flags;

    /* Release: the kernel sees the requests where it sees the tail. */
    atomic_store_explicit(ring->sq_tail, ring->tail, memory_order_release);
    if (nwait == 0 || timeout == CEL_FOREVER) {
        return cel__sys_io_uring_enter(ring->fd, cel__uring_ring_npushed(ring),
                                       nwait, flags, NULL, 0);
    }
    span.tv_sec = timeout / CEL_SEC;
    span.tv_nsec = timeout % CEL_SEC;
    arg.ts = (uintptr_t)&span;
    return cel__sys_io_uring_enter(ring->fd, cel__uring_ring_npushed(ring),
                                   nwait, flags | CEL__URING_EXT_ARG, &arg,
                                   sizeof(arg));
}

int
cel__uring_ring_tell(struct cel__uring_ring *ring, int eventfd)
{
    return cel__sys_io_uring_register(ring->fd, CEL__URING_REGISTER_EVENTFD,
                                      &eventfd, 1);
}

struct io_uring_sqe *
cel__uring_ring_push(struct cel__uring_ring *ring)
{
    if (cel__unlikely(cel__uring_ring_npushed(ring) == ring->nsqes)) {
        (void)cel__uring_ring_enter(ring, 0, 0);
        if (cel__uring_ring_npushed(ring) == ring->nsqes) {
            return NULL;
        }
    }
    return &ring->sqes[ring->tail++ & ring->sq_mask];
}

bool
cel__uring_ring_take(struct cel__uring_ring *ring, struct io_uring_cqe *out)
{
    if (!cel__uring_ring_has_some(ring)) {
        return false;
    }
    *out = ring->cqes[ring->head++ & ring->cq_mask];
    /* Release: it was read before the kernel may write over it. */
    atomic_store_explicit(ring->cq_head, ring->head, memory_order_release);
    return true;
}

bool
cel__uring_ring_unpush(struct cel__uring_ring *ring, uint64_t user_data)
{
    for (uint32_t n = cel__uring_ring_npushed(ring); n > 0; n--) {
        struct io_uring_sqe
            *sqe = &ring->sqes[(ring->tail - n) & ring->sq_mask];
        if (sqe->user_data == user_data) {
            *sqe = (struct io_uring_sqe){
                .opcode = IORING_OP_NOP,
                .flags = CEL__URING_SQE_SKIP_SUCCESS,
                .user_data = CEL__URING_NOBODY,
            };
            return true;
        }
    }
    return false;
}

bool
cel__uring_ring_find(struct cel__uring_ring *ring, uint64_t user_data,
                     int32_t *res)
{
    /* Acquire: as in cel__uring_ring_has_some(). */
    uint32_t end = atomic_load_explicit(ring->cq_tail, memory_order_acquire);

    for (uint32_t i = ring->head; i != end; i++) {
        struct io_uring_cqe *cqe = &ring->cqes[i & ring->cq_mask];
        if (cqe->user_data == user_data &&
            (cqe->flags & CEL__URING_CQE_MORE) == 0) {
            *res = cqe->res;
            cqe->user_data = CEL__URING_NOBODY;
            return true;
        }
    }
    return false;
}
