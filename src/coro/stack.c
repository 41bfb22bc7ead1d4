/* SPDX-License-Identifier: MIT */
/*
 * How stacks are mapped, guarded, coloured, pooled and trimmed.
 *
 * A slab is one mapping of 64 pieces.  Pieces are an odd number of pages, so
 * that the pages in use spread over the sets of the second level cache too.
 * A piece becomes a stack when it is first taken: until then it costs address
 * space only, and reserving costs no system call but for each 64th.
 *
 * Nothing is written to a stack that its coroutine would not have touched
 * anyway: the link of the free list lies where the first frame was, and
 * whether a stack was used deeply is asked of the kernel, not read from a
 * canary, whose page would have to be mapped first (1.2 us; asking is 0.7).
 * So a parked coroutine costs one page, and a stack that comes back none.
 *
 * Threads: the owner's only.
 *
 * Tests: unit/test_stack.c
 */
#include "coro/stack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/sanitize.h"
#include "base/sys_memory.h"
#include "coro/guard.h"

/* Stacks a slab: the mapping's 2-3 us become 40 ns each, and a worker with
   few coroutines holds 16 MiB of address space.  Fewer in hard builds, so
   that slabs are many. */
#define SLAB (CEL__HARD ? 2U : 64U)

/* Stacks in the pool that keep their lower pages in any case. */
#define KEEP (CEL__HARD ? 1U : 16U)

/* By how many stacks the pool grows between two looks at one that comes back;
   who come and go while it does not grow will be taken next, and keep what
   they have: at 256 KiB each they are 16 MiB at worst.  If one was used
   deeply, the next LOOKS are looked at too.  Where fewer than one in LOOKS are
   deep, what is missed is less than the page that each stack keeps. */
#define STEP  (CEL__HARD ? 0U : 64U)
#define LOOKS 64U

/* The smallest stack. */
#define LEAST ((size_t)16384)

/* From this size on the guard is 16 KiB and not one page: address space is
   cheap, and a foreign function's buffer may well jump over a page. */
#define LARGE       ((size_t)65536)
#define LARGE_GUARD ((size_t)16384)

/* Colours are multiples of a cache line.  32 of them fill half a page; with
   a tail there is less room, see top_of(). */
#define LINE         ((size_t)64)
#define COLOURS      32U
#define COLOURS_TAIL 5U

/* What the tail is sure to find above the top in the page that both share:
   a greenlet ten calls deep keeps 1.2 KiB there. */
#define TAIL_SHARE ((size_t)1280)

/* What is written over a stack given back, in hard builds. */
#define POISON 0xdb

struct cel__stackslab {
    struct cel__stackslab *next;       /* in pool->slabs */
    struct cel__stackslab *next_fresh; /* in pool->fresh */
    char *base;                        /* the first piece */
    unsigned count;                    /* pieces */
    unsigned nused;                    /* pieces that became stacks */
    unsigned nprotected;               /* guards made by mprotect() */
    unsigned valgrind[64];             /* valgrind's ids of them */
};

/* A stack in the pool, at its very top. */
struct link {
    char *next; /* top of the next stack */
    char *low;  /* of this one */
};

static size_t
round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

void
cel__stackpool_init(struct cel__stackpool *pool, size_t size, size_t tail)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = 4 * page > LEAST ? 4 * page : LEAST;

    memset(pool, 0, sizeof(*pool));
    if (CEL__ASAN) {
        size *= 2; /* frames with red zones */
    }
    if (size < least) {
        size = least;
    }
    pool->page = page;
    pool->look_at = KEEP;
    pool->size = round_up(size, page);
    pool->tail = round_up(tail, page);
    if ((pool->size + pool->tail) / page % 2 == 0) {
        pool->size += page;
    }
    pool->guard = page;
    if (pool->size >= LARGE && page < LARGE_GUARD) {
        pool->guard = LARGE_GUARD;
    }
}

static size_t
stride(const struct cel__stackpool *pool)
{
    return pool->size + pool->tail;
}

/* The top of the stack in `piece`, the `index`-th of its slab. */
static char *
top_of(const struct cel__stackpool *pool, char *piece, unsigned index)
{
    char *edge = piece + pool->size;

    /* 5 and 32 have no common factor: neighbours are 320 bytes apart. */
    if (pool->tail == 0) {
        return edge - index * 5 % COLOURS * LINE;
    }
    /* The tail's share at the end of the page, the rest is the C stack's:
       2.5 KiB and up to four lines more. */
    size_t colour = (COLOURS_TAIL - 1 - index % COLOURS_TAIL) * LINE;
    return edge - TAIL_SHARE - colour;
}

/* Map `count` pieces; NULL where that is too much. */
static struct cel__stackslab *
map_slab(const struct cel__stackpool *pool, unsigned count)
{
    size_t len = count * stride(pool);
    struct cel__stackslab *slab = cel__alloc_zeroed(1, sizeof(*slab));
    void *base = NULL;

    if (slab == NULL) {
        return NULL;
    }
    /* Without MAP_NORESERVE the 64 GiB of 250,000 stacks would be refused,
       although they are never all used. */
    int err = cel__sys_mmap(
        &base, len, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (err < 0) {
        free(slab);
        return NULL;
    }
    /* Both are wishes: before 6.7 MAP_STACK did not mean the first, and a
       huge page would make each stack 2 MiB; the second is for people. */
    (void)cel__sys_madvise(base, len, MADV_NOHUGEPAGE);
    (void)cel__sys_name_memory(base, len, "celadon stacks");
    slab->base = base;
    slab->count = count;
    return slab;
}

CEL__COLD static int
grow(struct cel__stackpool *pool)
{
    struct cel__stackslab *slab = NULL;

    /* Where memory is counted strictly (vm.overcommit_memory=2, ulimit -v), a
       smaller slab may still be had. */
    for (unsigned n = SLAB; n > 0 && slab == NULL; n /= 4) {
        slab = map_slab(pool, n);
    }
    if (slab == NULL) {
        return -ENOMEM;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    slab->next_fresh = pool->fresh;
    pool->fresh = slab;
    pool->nfresh += slab->count;
    pool->nspare += slab->count;
    pool->nmade += slab->count;
    return 0;
}

int
cel__stackpool_reserve(struct cel__stackpool *pool)
{
    if (cel__unlikely(pool->nspare == 0)) {
        int err = grow(pool);
        if (err < 0) {
            return err;
        }
    }
    pool->nspare--;
    return 0;
}

void
cel__stackpool_release(struct cel__stackpool *pool)
{
    cel__assert(pool->nspare < pool->nfree + pool->nfresh);
    pool->nspare++;
}

/* Guard `piece` of `slab`; say so, once, when that is no longer possible. */
static void
guard(struct cel__stackpool *pool, struct cel__stackslab *slab, char *piece)
{
    enum cel__guard kind = cel__guard_make(piece, pool->guard);

    if (kind == CEL__GUARD_PROTECTED) {
        slab->nprotected++;
    }
    if (kind == CEL__GUARD_NONE && !pool->unguarded) {
        pool->unguarded = true;
        cel__log("too many coroutines for vm.max_map_count: the stacks of "
                 "further ones have no guard pages; raise it, or use Linux "
                 "6.13 or newer");
    }
}

/* Make the next fresh piece `stack`. */
CEL__COLD static char *
take_fresh(struct cel__stackpool *pool, struct cel__stack *stack)
{
    struct cel__stackslab *slab = pool->fresh;
    unsigned index = slab->nused++;
    char *piece = slab->base + index * stride(pool);

    if (slab->nused == slab->count) {
        pool->fresh = slab->next_fresh;
    }
    pool->nfresh--;
    guard(pool, slab, piece);
    stack->low = piece + pool->guard;
    stack->top = top_of(pool, piece, index);
    stack->end = piece + stride(pool);
    slab->valgrind[index] = CEL__VALGRIND_KNOW(stack->low, stack->top);
    return stack->top;
}

char *
cel__stackpool_take(struct cel__stackpool *pool, struct cel__stack *stack)
{
    cel__assert(pool->nspare < pool->nfree + pool->nfresh);
    char *top = pool->free;
    if (cel__unlikely(top == NULL)) {
        return take_fresh(pool, stack);
    }
    const struct link *link = (struct link *)(void *)top - 1;
    pool->free = link->next;
    pool->nfree--;
    stack->low = link->low;
    stack->top = top;
    stack->end = link->low + stride(pool) - pool->guard;
    return top;
}

/* Give back what lies deeper than two pages from the top, counting the one
   that both sides share.  Where there was anything, the next ones are looked
   at too. */
CEL__COLD static void
trim(struct cel__stackpool *pool, const struct cel__stack *stack)
{
    size_t page = pool->page;
    char *shared = stack->top - 1 - (uintptr_t)(stack->top - 1) % page;
    char *below = shared - page;     /* end of what goes, downwards */
    char *above = shared + 2 * page; /* begin of what goes, upwards */
    bool two_sided = above < stack->end;
    unsigned char pages[5]; /* the first page of either, and what is between */

    if (cel__sys_mincore(below - page, (two_sided ? 5 : 1) * page, pages) <
        0) {
        return;
    }
    if (pages[0] & 1) {
        pool->looks = LOOKS;
        (void)cel__sys_madvise(stack->low, (size_t)(below - stack->low),
                               MADV_DONTNEED);
    }
    if (two_sided && (pages[4] & 1)) {
        pool->looks = LOOKS;
        (void)cel__sys_madvise(above, (size_t)(stack->end - above),
                               MADV_DONTNEED);
    }
}

/* Whether a stack that comes back is to be looked at. */
static inline bool
is_sample(struct cel__stackpool *pool)
{
    if (pool->look_at > pool->nfree + STEP && pool->look_at > KEEP) {
        pool->look_at = pool->nfree + STEP;
    }
    if (cel__likely(pool->nfree < pool->look_at)) {
        return false;
    }
    pool->look_at = pool->nfree + (pool->looks > 0 ? 1 : STEP);
    pool->looks -= pool->looks > 0;
    return true;
}

/* Whose memory lies below was written to: nothing can be trusted. */
CEL__COLD static void
check_guard(const struct cel__stackpool *pool, const struct cel__stack *stack)
{
    if (cel__guard_was_touched(stack->low - pool->guard, pool->guard)) {
        cel__panic("a coroutine overflowed its stack of %zu KiB",
                   pool->size / 1024);
    }
}

/* Write over what there is of `stack`, from its top down (hard builds). */
static void
poison(const struct cel__stackpool *pool, const struct cel__stack *stack)
{
    char *end = stack->top;
    char *at = end - 1 - (uintptr_t)(end - 1) % pool->page;
    unsigned char there;

    while (at >= stack->low && cel__sys_mincore(at, pool->page, &there) == 0 &&
           (there & 1)) {
        memset(at, POISON, (size_t)(end - at));
        end = at;
        at -= pool->page;
    }
}

void
cel__stackpool_give(struct cel__stackpool *pool,
                    const struct cel__stack *stack)
{
    char *top = stack->top;

    cel__sanitize_clear(stack->low, (size_t)(stack->end - stack->low));
    if (cel__unlikely(pool->unguarded)) {
        check_guard(pool, stack);
    }
    if (cel__unlikely(is_sample(pool))) {
        trim(pool, stack);
    }
    if (CEL__HARD) {
        poison(pool, stack);
    }
    struct link *link = (struct link *)(void *)top - 1;
    link->next = pool->free;
    link->low = stack->low;
    pool->free = top;
    pool->nfree++;
    pool->nspare++;
}

void
cel__stackpool_fini(struct cel__stackpool *pool)
{
    struct cel__stackslab *slab = pool->slabs;

    cel__assert(pool->nfree + pool->nfresh == pool->nmade);
    while (slab != NULL) {
        struct cel__stackslab *next = slab->next;

        for (unsigned i = 0; i < slab->nused; i++) {
            CEL__VALGRIND_FORGET(slab->valgrind[i]);
        }
        (void)cel__sys_munmap(slab->base, slab->count * stride(pool));
        cel__guard_unmapped(slab->nprotected);
        free(slab);
        slab = next;
    }
}

bool
cel__stack_overflowed(const struct cel__stack *stack, const void *address)
{
    const char *at = address;

    /* 16 KiB, whatever the guard: a large frame may have jumped over it. */
    return at < stack->low && at >= stack->low - LARGE_GUARD;
}
