/* SPDX-License-Identifier: MIT */
/* The inbox: order, the first push, and many senders. */
#include "base/inbox.h"

#include <pthread.h>
#include <sched.h>

#include "base/list.h"
#include "tap.h"

struct numbered {
    struct cel__message message;
    int sender;
    int number;
};

TEST(messages_come_in_the_order_they_were_sent)
{
    struct cel__inbox inbox = {NULL};
    struct numbered messages[3];

    CHECK(cel__inbox_empty(&inbox));
    CHECK_PTR(cel__inbox_take(&inbox), NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel__inbox_push(&inbox, &messages[i].message), i == 0);
    }
    CHECK(!cel__inbox_empty(&inbox));
    struct cel__message *message = cel__inbox_take(&inbox);
    for (int i = 0; i < 3; i++) {
        CHECK_PTR(message, &messages[i].message);
        message = message->next;
    }
    CHECK_PTR(message, NULL);
    CHECK(cel__inbox_empty(&inbox));
}

enum {
    SENDERS = 3,
    EACH = 20000
};

static struct cel__inbox shared;
static struct numbered sent[SENDERS][EACH];

static void *
send_all(void *arg)
{
    struct numbered *messages = arg;

    for (int i = 0; i < EACH; i++) {
        messages[i].number = i;
        (void)cel__inbox_push(&shared, &messages[i].message);
    }
    return NULL;
}

TEST(nothing_of_several_senders_is_lost_or_swapped)
{
    pthread_t threads[SENDERS];
    int next[SENDERS] = {0};
    int left = SENDERS * EACH;

    for (int i = 0; i < SENDERS; i++) {
        for (int k = 0; k < EACH; k++) {
            sent[i][k].sender = i;
        }
        CHECK_EQ(pthread_create(&threads[i], NULL, send_all, sent[i]), 0);
    }
    while (left > 0) {
        struct cel__message *message = cel__inbox_take(&shared);

        if (message == NULL) {
            (void)sched_yield();
        }
        for (; message != NULL; message = message->next) {
            struct numbered *got = cel__container(message, struct numbered,
                                                  message);

            CHECK_EQ(got->number, next[got->sender]);
            next[got->sender]++;
            left--;
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK(cel__inbox_empty(&shared));
}
