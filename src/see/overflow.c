/* SPDX-License-Identifier: MIT */
/*
 * The handler that names the coroutine whose stack overflowed.
 *
 * In the handler only write(2) and plain memory are used.  Afterwards the
 * handlers from before are put back and the handler returns, so the fault
 * happens again under them: the default one dies with the same signal, and a
 * debugger or core file shows the overflowing frame, not ours.
 *
 * Threads: any.
 *
 * Tests: unit/test_overflow.c
 */
#include "see/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/sys.h"
#include "base/sys_memory.h"
#include "sched/worker.h"
#include "see/text.h"

/* Bytes of an alternate stack: the kernel's frame with every register of the
   largest processors is 12 KiB, previous handlers may print. */
#define ALTERNATE ((size_t)65536)

static atomic_bool installed;     /* or somebody is at it */
static struct sigaction old_segv; /* written by who is, before */
static struct sigaction old_bus;  /* as old_segv */

/* Holds the alternate stack that we made for a thread, for its end. */
static pthread_key_t key; /* set under `once` */
static int key_error;     /* as key: why there is none */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
report(const struct cel__coro *coro)
{
    struct cel__text text;

    cel__text_init(&text, STDERR_FILENO);
    cel__text_put(&text, "celadon: stack overflow in coroutine ");
    if (coro->name != NULL) {
        cel__text_put(&text, "'");
        cel__text_put(&text, coro->name);
        cel__text_put(&text, "' ");
    }
    cel__text_put(&text, "(id ");
    cel__text_number(&text, coro->id);
    cel__text_put(&text, ", stack ");
    cel__text_number(&text, coro->pool->size / 1024);
    cel__text_put(&text, " KiB); raise the stack size, or keep large buffers "
                         "off the stack");
    cel__text_line(&text);
}

static void
handle(int signal, siginfo_t *info, void *context)
{
    const struct cel__worker *worker = cel__worker();

    (void)context;
    /* si_code <= 0: somebody sent it, there is no address. */
    if (info->si_code > 0 && worker != NULL &&
        worker->current->stack.low != NULL &&
        cel__stack_overflowed(&worker->current->stack, info->si_addr)) {
        report(worker->current);
    }
    (void)cel__sys_sigaction(SIGSEGV, &old_segv, NULL);
    (void)cel__sys_sigaction(SIGBUS, &old_bus, NULL);
    if (info->si_code <= 0) {
        /* It will not come again by itself. */
        (void)raise(signal);
    }
}

static int
install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    /* The old ones first: the handler may run before sigaction() returns. */
    int err = cel__sys_sigaction(SIGSEGV, NULL, &old_segv);
    if (err < 0) {
        return err;
    }
    err = cel__sys_sigaction(SIGBUS, NULL, &old_bus);
    if (err < 0) {
        return err;
    }
    err = cel__sys_sigaction(SIGBUS, &action, NULL);
    if (err < 0) {
        return err;
    }
    err = cel__sys_sigaction(SIGSEGV, &action, NULL);
    if (err < 0) {
        (void)cel__sys_sigaction(SIGBUS, &old_bus, NULL);
        return err;
    }
    return 0;
}

int
cel__overflow_install(void)
{
    /* Who comes while another installs it does not wait: in the child of a
       fork that would be for ever. */
    if (atomic_exchange(&installed, true)) {
        return 0;
    }
    int err = install();
    if (err < 0) {
        atomic_store(&installed, false);
    }
    return err;
}

/* At the end of a thread. */
static void
free_alternate(void *base)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    stack_t now;

    if (cel__sys_sigaltstack(NULL, &now) == 0 && now.ss_sp == base) {
        (void)cel__sys_sigaltstack(&none, NULL);
    }
    (void)cel__sys_munmap(base, ALTERNATE);
}

static void
make_key(void)
{
    key_error = -pthread_key_create(&key, free_alternate);
}

int
cel__overflow_thread(void)
{
    stack_t stack = {.ss_size = ALTERNATE};
    stack_t now;

    int err = cel__sys_sigaltstack(NULL, &now);
    if (err < 0 || (now.ss_flags & SS_DISABLE) == 0) {
        return err;
    }
    (void)pthread_once(&once, make_key);
    if (key_error < 0) {
        return key_error;
    }
    err = cel__sys_mmap(&stack.ss_sp, ALTERNATE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (err < 0) {
        return err;
    }
    err = -pthread_setspecific(key, stack.ss_sp);
    if (err == 0) {
        err = cel__sys_sigaltstack(&stack, NULL);
    }
    if (err < 0) {
        (void)pthread_setspecific(key, NULL);
        (void)cel__sys_munmap(stack.ss_sp, ALTERNATE);
    }
    return err;
}
