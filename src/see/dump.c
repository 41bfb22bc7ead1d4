/* SPDX-License-Identifier: MIT */
/*
 * The dump: every coroutine of every worker.
 *
 * Each worker prints its own, when it has nothing half done: in a call of
 * cel_dump(), or when its loop takes messages.  Only one prints at a time.
 *
 * The signal handler posts the messages, and where it has interrupted a
 * coroutine it prints that one's backtrace at once: it may run for long, and
 * is likely what somebody wants to know.
 *
 * Threads: see celadon/see.h.
 *
 * Tests: unit/test_see.c
 */
#include "see/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/sys_memory.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"
#include "see/deadlock.h"
#include "see/depth.h"
#include "see/names.h"
#include "see/sys_trace.h"
#include "see/trace.h"

/* Stack that the unwinder may need, with what it loads at the first time. */
#define UNWINDING ((size_t)32768)

/* How often a worker lets others go first, before it prints between their
   lines: one of them may be stopped, or a fork have forgotten it. */
#define PATIENCE 10000

static const char *const states[] = {
    [CEL__NEW] = "not started", [CEL__READY] = "ready",
    [CEL__RUNNING] = "running", [CEL__PARKED] = "waits for ",
    [CEL__DEAD] = "has ended",  [CEL__FORSAKEN] = "left behind by a fork",
};

static atomic_bool printing;

/* Whether the stack that we stand on has room for the unwinder. */
static bool
has_room(const struct cel__worker *worker)
{
    const char *low = worker->current->stack.low;
    const char *here = __builtin_frame_address(0);

    return low == NULL || here < low || here - low > (ptrdiff_t)UNWINDING;
}

static void
put_stack(struct cel__text *text, const struct cel__coro *coro)
{
    if (coro->stack.low == NULL) {
        return;
    }
    cel__text_put(text, "; stack ");
    cel__text_number(text, (cel__depth_used(&coro->stack) + 1023) / 1024);
    cel__text_put(text, " of ");
    cel__text_number(text, coro->pool->size / 1024);
    cel__text_put(text, " KiB");
}

static void
put_coro(struct cel__text *text, const struct cel__worker *worker,
         const struct cel__coro *coro, cel_time now)
{
    cel__awaited_put_who(text, coro);
    cel__text_put(text, " ");
    cel__text_put(text, states[coro->state]);
    if (coro->state == CEL__PARKED) {
        cel__awaited_put(text, worker, coro);
        cel__text_put(text, "; since ");
        cel__text_span(text,
                       now - (coro->timed ? coro->park->since : coro->since));
        if (coro->timed) {
            cel__text_put(text, ", for another ");
            cel__text_span(text, coro->park->until - now);
        }
    }
    else if (coro->state == CEL__READY && !coro->started) {
        cel__text_put(text, ", not started");
    }
    cel__text_put(text, coro->cancelled ? "; cancelled" : "");
    put_stack(text, coro);
    cel__text_line(text);
}

/* Apart, for its trace is large. */
__attribute__((noinline)) static void
put_backtrace(struct cel__text *text, const struct cel__worker *worker,
              const struct cel__coro *coro)
{
    struct cel__trace trace;

    if (coro == worker->current) {
        cel__trace_here(&trace);
    }
    else if (coro->started && coro->state != CEL__DEAD) {
        cel__trace_of(&trace, coro->sp);
    }
    else {
        return;
    }
    cel__trace_put(text, &trace);
}

static void
put_worker(struct cel__text *text, const struct cel__worker *worker)
{
    cel__text_put(text, "celadon: process ");
    cel__text_number(text, (uint64_t)getpid());
    cel__text_put(text, ", thread ");
    cel__text_number(text, (uint64_t)worker->see.thread);
    cel__text_put(text, ": ");
    cel__text_number(text, worker->nalive);
    cel__text_put(text,
                  worker->nalive == 1 ? " coroutine, " : " coroutines, ");
    cel__text_number(text, cel__ring_count(&worker->ready));
    cel__text_put(text, " ready, ");
    cel__text_number(text, worker->loop.narmed);
    cel__text_put(text, " wait by ");
    cel__text_put(text, worker->loop.backend->name);
    cel__text_put(text, ", ");
    cel__text_number(text, worker->nswitch);
    cel__text_put(text, " switches");
    cel__text_line(text);
}

static void
say_line(void *arg, const char *line)
{
    struct cel__text *text = arg;

    cel__text_put(text, line);
    cel__text_line(text);
}

static int
print(struct cel__worker *worker, int fd, unsigned flags)
{
    cel_time now = cel__clock_now();
    struct cel__text text;

    cel__text_init(&text, fd);
    put_worker(&text, worker);
    bool traces = (flags & CEL_DUMP_BRIEF) == 0;
    if (traces && !has_room(worker)) {
        cel__text_put(&text, "(no backtraces: the stack is too small)");
        cel__text_line(&text);
        traces = false;
    }
    for (struct cel__link *link = worker->all.next; link != &worker->all;
         link = link->next) {
        const struct cel__coro *coro = cel__container(link, struct cel__coro,
                                                      all);
        put_coro(&text, worker, coro, now);
        if (traces) {
            put_backtrace(&text, worker, coro);
        }
    }
    cel__names_forget();
    return text.error;
}

int
cel__dump_worker(struct cel__worker *worker, int fd, unsigned flags)
{
    struct cel__text text;

    for (int i = 0; i < PATIENCE && atomic_exchange(&printing, true); i++) {
        sched_yield();
    }
    int err = print(worker, fd, flags);
    cel__text_init(&text, fd);
    (void)cel__deadlock_find(worker, say_line, &text);
    atomic_store(&printing, false);
    return err < 0 ? err : text.error;
}

/* In the worker: somebody has asked. */
static void
asked(struct cel__message *message)
{
    struct cel__see *see = cel__container(message, struct cel__see, message);
    struct cel__worker *worker = cel__container(see, struct cel__worker, see);

    (void)cel__dump_worker(worker, see->fd, see->flags);
    if (see->owned) {
        (void)cel__sys_close(see->fd);
    }
    /* Release: from here on the fields are another's, who acquires them. */
    atomic_store_explicit(&see->asked, false, memory_order_release);
}

void
cel__dump_prepare(struct cel__see *see)
{
    atomic_init(&see->asked, false);
    see->message.fn = asked;
}

/* Ask `worker` for a dump, unless it still owes one. */
static int
ask(struct cel__worker *worker, int fd, unsigned flags, bool owned)
{
    struct cel__see *see = &worker->see;

    if (atomic_exchange_explicit(&see->asked, true, memory_order_acquire)) {
        return -EALREADY;
    }
    see->fd = fd;
    see->flags = flags;
    see->owned = owned;
    cel__worker_post(worker, &see->message);
    return 0;
}

/* What cel_dump() was told. */
struct request {
    const struct cel__worker *me;
    int fd;
    unsigned flags;
};

static int
ask_other(struct cel__worker *worker, void *arg)
{
    const struct request *request = arg;

    if (worker == request->me) {
        return 0;
    }
    int fd = cel__sys_fcntl(request->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    if (ask(worker, fd, request->flags, true) < 0) {
        (void)cel__sys_close(fd);
    }
    return 0;
}

int
cel_dump(int fd, unsigned flags)
{
    struct cel__worker *me = cel__worker();
    struct request request = {.me = me, .fd = fd, .flags = flags};

    if ((flags & ~CEL_DUMP_BRIEF) != 0) {
        return -EINVAL;
    }
    int err = cel__see_each(ask_other, &request);
    int own = me == NULL ? 0 : cel__dump_worker(me, fd, flags);
    return own < 0 ? own : err;
}

static int
ask_by_signal(struct cel__worker *worker, void *arg)
{
    unsigned *n = arg;

    (*n)++;
    (void)ask(worker, STDERR_FILENO, 0, false);
    return 0;
}

/* The coroutine that the handler has interrupted. */
__attribute__((noinline)) static void
put_interrupted(struct cel__text *text, const struct cel__coro *coro,
                const void *pc)
{
    struct cel__trace trace;

    cel__text_put(text, "celadon: interrupted ");
    cel__awaited_put_who(text, coro);
    cel__text_line(text);
    cel__trace_interrupted(&trace, pc);
    cel__trace_put(text, &trace);
    cel__names_forget();
}

static void
on_signal(int signo, siginfo_t *info, void *context)
{
    int kept = cel__errno_keep();
    struct cel__worker *me = cel__worker();
    struct cel__text text;
    unsigned n = 0;

    (void)signo;
    (void)info;
    cel__text_init(&text, STDERR_FILENO);
    if (me != NULL &&
        !atomic_load_explicit(&me->asleep, memory_order_relaxed) &&
        me->current->state == CEL__RUNNING && has_room(me)) {
        put_interrupted(&text, me->current, cel__sys_interrupted(context));
    }
    (void)cel__see_each(ask_by_signal, &n);
    if (n == 0) {
        cel__text_put(&text, "celadon: nothing runs coroutines in process ");
        cel__text_number(&text, (uint64_t)getpid());
        cel__text_line(&text);
    }
    cel__errno_restore(kept);
}

int
cel_dump_on_signal(int signo)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    cel__trace_prepare();
    return cel__sys_sigaction(signo, &action, NULL);
}
