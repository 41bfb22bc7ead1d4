/* SPDX-License-Identifier: MIT */
/* Faults where coroutines meet: channels, locks, other threads. */
#include <errno.h>
#include <pthread.h>

#include "faults.h"

struct line {
    cel_chan *there;
    cel_chan *back;
};

static void
hang_up(struct line *line)
{
    DO(cel_chan_shutdown, line->there);
    DO(cel_chan_shutdown, line->back);
}

static void
answer(void *arg)
{
    struct line *line = arg;
    int value;

    while (CALL(cel_chan_recv, line->there, &value, soon()) == 0) {
        if (CALL(cel_chan_send, line->back, &value, soon()) < 0) {
            break;
        }
    }
    hang_up(line);
}

static int
open_line(struct line *line, size_t capacity)
{
    line->there = NULL;
    line->back = NULL;
    if (CALL(cel_chan_open, &line->there, sizeof(int), capacity) < 0) {
        MUST(line->there == NULL);
        return -1;
    }
    if (CALL(cel_chan_open, &line->back, sizeof(int), capacity) < 0) {
        DO(cel_chan_close, line->there);
        return -1;
    }
    return 0;
}

static void
close_line(struct line *line)
{
    DO(cel_chan_close, line->there);
    DO(cel_chan_close, line->back);
}

static void
talk(struct line *line)
{
    for (int i = 0; i < 3; i++) {
        int value = i;

        if (CALL(cel_chan_send, line->there, &value, soon()) < 0 ||
            CALL(cel_chan_recv, line->back, &value, soon()) < 0) {
            break;
        }
        MUST(value == i);
    }
    (void)CALL(cel_chan_count, line->back);
    hang_up(line);
}

static void
talk_with_another(size_t capacity)
{
    struct line line;
    cel_coro *coro;

    if (open_line(&line, capacity) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, answer, &line) == 0) {
        talk(&line);
        finish(coro);
    }
    close_line(&line);
}

SCENARIO(chan)
{
    talk_with_another(0);
    talk_with_another(2);
}

static void
feed(void *arg)
{
    struct line *line = arg;
    int value = 1;

    (void)CALL(cel_sleep, cel_after(1000));
    (void)CALL(cel_chan_send, line->there, &value, soon());
    (void)CALL(cel_chan_send, line->back, &value, soon());
    hang_up(line);
}

SCENARIO(select)
{
    struct line line;
    cel_coro *coro;
    int value;

    if (open_line(&line, 0) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, feed, &line) == 0) {
        for (int i = 0; i < 3; i++) {
            cel_case cases[] = {
                {.chan = line.there, .value = &value, .op = CEL_RECV},
                {.chan = line.back, .value = &value, .op = CEL_RECV},
            };
            if (CALL(cel_select, cases, 2, soon()) < 0) {
                break;
            }
        }
        hang_up(&line);
        finish(coro);
    }
    close_line(&line);
}

static int
far(void *arg)
{
    answer(arg);
    return 0;
}

static void *
far_thread(void *arg)
{
    if (CALL(cel_run, far, arg, NULL) < 0) {
        hang_up(arg);
    }
    return NULL;
}

SCENARIO(threads)
{
    struct line line;
    pthread_t thread;

    if (open_line(&line, 0) < 0) {
        return;
    }
    MUST(pthread_create(&thread, NULL, far_thread, &line) == 0);
    talk(&line);
    MUST(pthread_join(thread, NULL) == 0);
    close_line(&line);
}

/* One of each, used by two coroutines. */
struct shared {
    cel_mutex *mutex;
    cel_rwlock *lock;
    cel_cond *cond;
    cel_sem *sem;
    cel_event *event;
    cel_wg *wg;
    cel_once once;
    int went;
};

static int
initialize(void *arg)
{
    (void)arg;
    return CALL(cel_sleep, cel_after(1000));
}

static void
wait_for_all(void *arg)
{
    struct shared *s = arg;

    (void)CALL(cel_once_run, &s->once, initialize, NULL, soon());
    (void)CALL(cel_sem_wait, s->sem, soon());
    (void)CALL(cel_event_wait, s->event, soon());
    if (CALL(cel_rwlock_read, s->lock, soon()) == 0) {
        MUST(CALL(cel_rwlock_unlock, s->lock) == 0);
    }
    if (CALL(cel_mutex_lock, s->mutex, soon()) == 0) {
        while (!s->went) {
            if (CALL(cel_cond_wait, s->cond, s->mutex, soon()) < 0) {
                break;
            }
        }
        MUST(CALL(cel_mutex_unlock, s->mutex) == 0);
    }
    (void)CALL(cel_wg_done, s->wg);
}

/* Locks are held over a sleep, so that the other waits. */
static void
wake_all(struct shared *s)
{
    (void)CALL(cel_once_run, &s->once, initialize, NULL, soon());
    int writes = CALL(cel_rwlock_write, s->lock, soon());
    int locked = CALL(cel_mutex_lock, s->mutex, soon());
    DO(cel_sem_post, s->sem);
    (void)CALL(cel_sleep, cel_after(1000));
    DO(cel_event_set, s->event);
    MUST(CALL(cel_event_is_set, s->event));
    (void)CALL(cel_sleep, cel_after(1000));
    if (writes == 0) {
        MUST(CALL(cel_rwlock_unlock, s->lock) == 0);
    }
    (void)CALL(cel_sleep, cel_after(1000));
    if (locked == 0) {
        MUST(CALL(cel_mutex_unlock, s->mutex) == 0);
    }
    (void)CALL(cel_sleep, cel_after(1000));
    s->went = 1;
    DO(cel_cond_signal, s->cond);
    DO(cel_cond_broadcast, s->cond);
    (void)CALL(cel_wg_wait, s->wg, soon());
    DO(cel_event_clear, s->event);
}

SCENARIO(sync)
{
    struct shared s = {.once = CEL_ONCE_INIT};
    cel_coro *coro;

    if (CALL(cel_mutex_open, &s.mutex) == 0 &&
        CALL(cel_rwlock_open, &s.lock) == 0 &&
        CALL(cel_cond_open, &s.cond) == 0 &&
        CALL(cel_sem_open, &s.sem, 0) == 0 &&
        CALL(cel_event_open, &s.event) == 0 && CALL(cel_wg_open, &s.wg) == 0 &&
        CALL(cel_wg_add, s.wg, 1) == 0 &&
        CALL(cel_go, &coro, wait_for_all, &s) == 0) {
        wake_all(&s);
        finish(coro);
    }
    DO(cel_mutex_close, s.mutex);
    DO(cel_rwlock_close, s.lock);
    DO(cel_cond_close, s.cond);
    DO(cel_sem_close, s.sem);
    DO(cel_event_close, s.event);
    DO(cel_wg_close, s.wg);
}
