/* SPDX-License-Identifier: MIT */
/*
 * Look-ups by c-ares, a channel a worker.
 *
 * All calls of c-ares are made by one coroutine, the service, which is there
 * while somebody waits for an answer: it hands questions over, waits for
 * c-ares' sockets and for its next time-out, and lets it go on.  So it is
 * never reached from two coroutines at a time, its frames need no room on
 * stacks of a user's choosing, and what it waits for is seen like any wait.
 *
 * A question is on the heap: c-ares can't forget a single one, so who gives
 * up leaves it there, and it is freed when its answer comes.  When nobody
 * waits any more, all are cancelled.
 *
 * After a fork the sockets are the parent's.  The child drops them with the
 * channel and asks again what its coroutines wait for.
 *
 * The channel is made anew where /etc/resolv.conf has changed since, when
 * nothing is asked.
 *
 * Threads: see ares.h.
 *
 * Tests: unit/test_ares.c
 */
#include "names/ares.h"

#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fork.h"
#include "names/cache.h"
#include "names/negative.h"
#include "names/overhear.h"
#include "names/watch.h"
#include "sched/run.h"
#include "sched/wait.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* The service's stack: c-ares and the C library's stdio use 20 KiB. */
#define STACK ((size_t)128 * 1024)

/* Questions handed over before others run: each reads the hosts file, some
   20 us. */
#define BATCH 16

/*
 * Questions under way: two answers each fit into a socket's buffer (208 KiB,
 * of which a datagram takes 768 bytes), so none is dropped and asked for
 * again seconds later.  Where that many get no answer for a while the servers
 * may be silent, and others are not to wait for that: a batch more.
 */
#define WINDOW   128
#define PATIENCE (10 * CEL_MSEC)

/*
 * What one worker has.
 *
 * Invariants: nwaiting counts the questions with a `wait`, as all in `todo`
 * are; it is not 0 => service != NULL; service == NULL => `todo` is empty.
 */
struct resolver {
    struct cel__annex annex; /* first */
    struct cel__overhear ears;
    struct cel__worker *worker;
    ares_channel channel;      /* NULL: none yet */
    unsigned forks;            /* cel__fork_count() when it was made */
    struct stat conf;          /* RESOLV_CONF's state then */
    struct cel__link todo;     /* questions that c-ares does not know yet */
    struct cel__link asked;    /* and those that it does */
    size_t nasked;             /* length of `asked` */
    size_t nwaiting;           /* coroutines that wait for an answer */
    struct cel__coro *service; /* or NULL: nothing to do */
    int why;                   /* what a cancelled question is told */
    bool renewing;             /* what ends now is to be asked again */
    bool impatient;            /* one batch more than the window */
    struct cel__watches watches;
    struct cel__stackpool stacks; /* for the service */
    struct cel__cache cache;
};

struct question {
    struct cel__link link; /* in todo or asked */
    struct resolver *resolver;
    struct cel__wait *wait;     /* on the asker's stack; NULL: it has gone */
    struct cel__answer *answer; /* the asker's, once it is there */
    int family;
    uint32_t denied; /* seconds for which servers have said that there is
                        nothing; UINT32_MAX: they have not */
    bool is_asked;   /* it is in `asked` */
    char host[];
};

static int
code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
    case ARES_ENONAME:
        return -ENOENT;
    /* As the C library's resolver sees it: another time they may know. */
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED:
    case ARES_ETIMEOUT:
        return -EAGAIN;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return -ECANCELED;
    default:
        return -EIO;
    }
}

static void
mind(uint32_t *ttl, int more)
{
    if (more >= 0 && (uint32_t)more < *ttl) {
        *ttl = (uint32_t)more;
    }
}

/* The addresses of `found`, which are one at least.  NULL: no memory. */
static struct cel__answer *
read_answer(const struct ares_addrinfo *found, const char *host)
{
    const char *canon = found->name == NULL ? host : found->name;
    const struct ares_addrinfo_node *node;
    const struct ares_addrinfo_cname *alias;
    uint32_t ttl = UINT32_MAX;
    size_t n = 0;

    for (alias = found->cnames; alias != NULL; alias = alias->next) {
        canon = alias->name;
        mind(&ttl, alias->ttl);
    }
    for (node = found->nodes; node != NULL; node = node->ai_next) {
        n++;
    }
    struct cel__answer *answer = cel__answer_make(n, canon);
    if (answer == NULL) {
        return NULL;
    }
    n = 0;
    for (node = found->nodes; node != NULL; node = node->ai_next) {
        if (node->ai_addrlen <= sizeof(answer->addrs[0])) {
            memcpy(&answer->addrs[n++], node->ai_addr, node->ai_addrlen);
            mind(&ttl, node->ai_ttl);
        }
    }
    answer->naddrs = n;
    answer->ttl = ttl;
    return answer;
}

/* Whether `name` is the one that `question` is about, or that with something
   of the search list. */
static bool
is_about(const struct question *question, const char *name)
{
    size_t len = strlen(question->host);

    if (len > 0 && question->host[len - 1] == '.') {
        len--;
    }
    return strncasecmp(question->host, name, len) == 0 &&
           (name[len] == '\0' || name[len] == '.');
}

/* A datagram has come.  Of all that deny a question the shortest time counts,
   and anybody may have sent it: c-ares decides whether there is an answer. */
static void
heard(struct cel__overhear *ears, const void *message, size_t len)
{
    struct resolver *self = cel__container(ears, struct resolver, ears);
    char name[CEL__NEGATIVE_NAME];
    uint32_t ttl;

    if (!cel__negative_read(message, len, name, &ttl)) {
        return;
    }
    for (struct cel__link *link = self->asked.next; link != &self->asked;
         link = link->next) {
        struct question *question = cel__container(link, struct question,
                                                   link);
        if (ttl < question->denied && is_about(question, name)) {
            question->denied = ttl;
        }
    }
}

/* Remember that there is nothing, for as long as the servers say. */
static void
remember_denial(struct resolver *self, const struct question *question)
{
    struct cel__answer *nothing = question->denied == UINT32_MAX
                                      ? NULL
                                      : cel__answer_make(0, question->host);

    if (nothing != NULL) {
        nothing->ttl = question->denied;
        cel__cache_put(&self->cache, question->host, question->family, nothing,
                       cel_now());
        cel__answer_unref(nothing);
    }
}

/* Tell the asker of `question`, which is in no list, and then its owner
   again. */
static void
finish(struct question *question, int code)
{
    if (question->wait == NULL) {
        cel__answer_unref(question->answer);
        free(question);
        return;
    }
    question->resolver->nwaiting--;
    cel__wait_finish(question->wait, code);
}

static void
answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct question *question = arg;
    struct resolver *self = question->resolver;
    int code = code_of(status);

    (void)timeouts;
    cel__list_remove(&question->link);
    self->nasked--;
    question->is_asked = false;
    if (self->renewing && code == -ECANCELED && question->wait != NULL) {
        cel__list_append(&self->todo, &question->link);
        return;
    }
    if (status == ARES_ECANCELLED) {
        code = self->why;
    }
    if (code == 0 && (found == NULL || found->nodes == NULL)) {
        code = -ENOENT;
    }
    if (code == 0) {
        question->answer = read_answer(found, question->host);
        if (question->answer == NULL) {
            code = -ENOMEM;
        }
        else {
            cel__cache_put(&self->cache, question->host, question->family,
                           question->answer, cel_now());
        }
    }
    if (code == -ENOENT) {
        remember_denial(self, question);
    }
    if (found != NULL) {
        ares_freeaddrinfo(found);
    }
    finish(question, code);
}

/* c-ares wants to know of `fd`; neither: it closes it next. */
static void
state_changed(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *self = arg;

    cel__watch_set(&self->watches, fd,
                   (readable != 0 ? CEL__READABLE : 0U) |
                       (writable != 0 ? CEL__WRITABLE : 0U));
}

static void
set_up(void)
{
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        cel__panic("c-ares can't be initialised");
    }
}

static void
look_at_conf(struct stat *conf)
{
    memset(conf, 0, sizeof(*conf));
    (void)stat(RESOLV_CONF, conf);
}

static int
open_channel(struct resolver *self)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = {
        .sock_state_cb = state_changed,
        .sock_state_cb_data = self,
    };
    const char *servers = getenv("CELADON_DNS");

    (void)pthread_once(&once, set_up);
    int status = ares_init_options(&self->channel, &options,
                                   ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS && servers != NULL && *servers != '\0') {
        status = ares_set_servers_ports_csv(self->channel, servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(self->channel);
        }
    }
    if (status != ARES_SUCCESS) {
        self->channel = NULL;
        return status == ARES_ENOMEM ? -ENOMEM : -EIO;
    }
    cel__overhear(self->channel, &self->ears);
    self->forks = cel__fork_count();
    look_at_conf(&self->conf);
    return 0;
}

static void
close_channel(struct resolver *self)
{
    if (self->channel != NULL) {
        ares_destroy(self->channel);
        self->channel = NULL;
    }
}

/* While nothing is asked: drop what is out of date. */
static void
refresh(struct resolver *self)
{
    struct stat conf;

    if (self->channel == NULL) {
        return;
    }
    look_at_conf(&conf);
    if (self->forks != cel__fork_count() || conf.st_ino != self->conf.st_ino ||
        conf.st_mtim.tv_sec != self->conf.st_mtim.tv_sec ||
        conf.st_mtim.tv_nsec != self->conf.st_mtim.tv_nsec) {
        close_channel(self);
        cel__cache_clear(&self->cache);
    }
}

static struct question *
first(const struct cel__link *list)
{
    struct cel__link *link = cel__list_first(list);

    return link == NULL ? NULL : cel__container(link, struct question, link);
}

/* End all questions with `code`. */
static void
fail_all(struct resolver *self, int code)
{
    struct question *question;

    self->why = code;
    if (self->channel != NULL) {
        ares_cancel(self->channel);
    }
    self->watches.lost = false;
    while ((question = first(&self->todo)) != NULL) {
        cel__list_remove(&question->link);
        self->nwaiting--;
        cel__wait_finish(question->wait, code);
    }
}

/* Whether a question can be handed over now. */
static bool
may_ask(const struct resolver *self)
{
    return !cel__list_empty(&self->todo) &&
           (self->nasked < WINDOW || self->impatient);
}

/* Hand questions over, not too many at once. */
static void
ask(struct resolver *self)
{
    for (int i = 0; i < BATCH && may_ask(self); i++) {
        struct question *question = first(&self->todo);
        struct ares_addrinfo_hints hints = {
            .ai_flags = ARES_AI_CANONNAME | ARES_AI_ENVHOSTS,
            .ai_family = question->family,
            .ai_socktype = SOCK_STREAM,
        };
        cel__list_remove(&question->link);
        cel__list_append(&self->asked, &question->link);
        question->is_asked = true;
        self->nasked++;
        ares_getaddrinfo(self->channel, question->host, NULL, &hints, answered,
                         question);
    }
    self->impatient = false;
}

/* Let c-ares read and write where it can. */
static void
go_on(struct resolver *self)
{
    const uint32_t broken = CEL__FAILED | CEL__HUNG_UP;
    uint32_t events;
    int fd;

    while (cel__watch_take(&self->watches, &fd, &events)) {
        bool reads = (events & (CEL__READABLE | broken)) != 0;
        bool writes = (events & (CEL__WRITABLE | broken)) != 0;
        ares_process_fd(self->channel, reads ? fd : ARES_SOCKET_BAD,
                        writes ? fd : ARES_SOCKET_BAD);
    }
}

/* When there is something to do, whatever comes. */
static cel_time
next_look(const struct resolver *self)
{
    struct timeval most = {.tv_usec = PATIENCE / CEL_USEC};
    struct timeval room;
    const struct timeval *wait = ares_timeout(
        self->channel, cel__list_empty(&self->todo) ? NULL : &most, &room);

    if (wait == NULL) {
        return CEL_FOREVER;
    }
    /* Never too early, or it would find nothing to do. */
    return cel_after(wait->tv_sec * CEL_SEC + (wait->tv_usec + 1) * CEL_USEC);
}

/* In the child of a fork. */
static void
renew(struct resolver *self)
{
    self->renewing = true;
    close_channel(self);
    self->renewing = false;
}

/* One turn of the service.  Suspends.  Returns 0, or why it can't go on. */
static int
turn(struct resolver *self)
{
    if (self->channel != NULL && self->forks != cel__fork_count()) {
        renew(self);
    }
    if (self->channel == NULL) {
        int err = open_channel(self);
        if (err < 0) {
            return err;
        }
    }
    ask(self);
    go_on(self);
    if (self->nwaiting == 0) {
        return 0;
    }
    bool ready = cel__watch_arm(&self->watches);
    if (self->watches.lost) {
        return -ENOMEM;
    }
    if (ready || may_ask(self)) {
        (void)cel__yield(self->worker);
        return 0;
    }
    int code = cel__park(self->worker, next_look(self),
                         "answers of name servers");
    if (code != -ETIMEDOUT) {
        return code;
    }
    self->impatient = true;
    if (self->forks == cel__fork_count()) {
        ares_process_fd(self->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    return 0;
}

static struct cel__coro *
serve(struct cel__coro *coro)
{
    struct resolver *self = ((struct cel_coro *)coro)->arg;

    while (self->nwaiting != 0) {
        int err = coro->cancelled ? -ECANCELED : turn(self);
        if (err < 0) {
            fail_all(self, err);
        }
    }
    /* What is left nobody waits for. */
    fail_all(self, -ECANCELED);
    self->service = NULL;
    self->watches.listener = NULL;
    return cel__run_leave((struct cel_coro *)coro);
}

static struct cel__coro *
end_service(struct cel_coro *self)
{
    cel__run_end(self);
    return NULL;
}

/* See that the service looks at what there is. */
static int
call_service(struct resolver *self)
{
    struct cel__run *run = self->worker->run;

    if (self->service != NULL) {
        cel__wake(self->service);
        return 0;
    }
    struct cel_coro *coro = cel__slab_take(&run->coros);
    if (coro == NULL) {
        return -ENOMEM;
    }
    coro->coro.name = "resolver";
    coro->arg = self;
    int err = cel__run_make(run, coro, &self->stacks, serve, end_service);
    if (err < 0) {
        cel__slab_give(&run->coros, coro);
        return err;
    }
    self->service = &coro->coro;
    self->watches.listener = &coro->coro;
    cel__coro_start(&coro->coro);
    return 0;
}

static void
close_resolver(struct cel__annex *annex)
{
    struct resolver *self = (struct resolver *)annex;

    cel__assert(self->service == NULL);
    close_channel(self);
    cel__cache_clear(&self->cache);
    cel__stackpool_fini(&self->stacks);
    free(self);
}

static void
forked(struct cel__annex *annex)
{
    struct resolver *self = (struct resolver *)annex;

    if (self->service != NULL) {
        cel__wake(self->service);
    }
}

/* The resolver of `worker`; NULL: memory is short. */
static struct resolver *
resolver_of(struct cel__worker *worker)
{
    struct cel__annex *annex = cel__worker_find_annex(worker, close_resolver);

    if (annex != NULL) {
        return (struct resolver *)annex;
    }
    struct resolver *self = cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->annex.close = close_resolver;
    self->annex.forked = forked;
    self->ears.heard = heard;
    self->worker = worker;
    cel__list_init(&self->todo);
    cel__list_init(&self->asked);
    cel__watch_init(&self->watches, worker);
    cel__stackpool_init(&self->stacks, STACK, 0);
    cel__worker_annex(worker, &self->annex);
    return self;
}

static struct question *
make_question(struct resolver *self, const char *host, int family)
{
    size_t size = strlen(host) + 1;
    struct question *question = cel__alloc_zeroed(1, sizeof(*question) + size);

    if (question != NULL) {
        question->resolver = self;
        question->family = family;
        question->denied = UINT32_MAX;
        memcpy(question->host, host, size);
    }
    return question;
}

/* Its asker gives up. */
static void
abandon(struct question *question)
{
    struct resolver *self = question->resolver;

    self->nwaiting--;
    question->wait = NULL;
    if (!question->is_asked) {
        cel__list_remove(&question->link);
        free(question);
    }
    if (self->nwaiting == 0 && self->service != NULL) {
        cel__wake(self->service);
    }
}

/* Wait for the answer to `question`.  Suspends.  The question is released. */
static int
await(struct resolver *self, struct question *question, cel_time deadline,
      struct cel__answer **out)
{
    struct cel__wait wait;

    cel__wait_init(&wait, self->worker->current);
    question->wait = &wait;
    cel__list_append(&self->todo, &question->link);
    self->nwaiting++;
    int code = call_service(self);
    while (code == 0 && !wait.done) {
        code = cel__park(self->worker, deadline, "a name's addresses");
    }
    if (!wait.done) {
        abandon(question);
        return code;
    }
    *out = question->answer;
    free(question);
    return wait.result;
}

int
cel__ares_resolve(struct cel__worker *worker, const char *host, int family,
                  cel_time deadline, struct cel__answer **out)
{
    struct resolver *self = resolver_of(worker);

    if (self == NULL) {
        return -ENOMEM;
    }
    if (worker->current->cancelled) {
        return -ECANCELED;
    }
    if (self->service == NULL) {
        refresh(self);
    }
    *out = cel__cache_find(&self->cache, host, family, cel_now());
    if (*out != NULL && (*out)->naddrs == 0) {
        cel__answer_unref(*out);
        *out = NULL;
        return -ENOENT;
    }
    if (*out != NULL) {
        return 0;
    }
    if (deadline <= CEL_AT_ONCE) {
        return -ETIMEDOUT;
    }
    struct question *question = make_question(self, host, family);
    return question == NULL ? -ENOMEM : await(self, question, deadline, out);
}
