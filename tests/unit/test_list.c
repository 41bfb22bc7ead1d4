/* SPDX-License-Identifier: MIT */
/* Lists: order, and that unlinking may be done twice. */
#include "base/list.h"

#include "tap.h"

struct item {
    int value;
    struct cel__link link;
};

TEST(a_new_list_is_empty)
{
    struct cel__link list;

    cel__list_init(&list);
    CHECK(cel__list_empty(&list));
    CHECK_PTR(cel__list_first(&list), NULL);
}

TEST(elements_come_out_in_the_order_they_were_appended)
{
    struct cel__link list;
    struct item items[3];

    cel__list_init(&list);
    for (int i = 0; i < 3; i++) {
        items[i].value = i;
        cel__list_append(&list, &items[i].link);
    }
    for (int i = 0; i < 3; i++) {
        struct cel__link *link = list.next;
        struct item *item = cel__container(link, struct item, link);

        CHECK_PTR(cel__list_first(&list), link);
        CHECK_EQ(item->value, i);
        cel__list_remove(link);
    }
    CHECK(cel__list_empty(&list));
}

TEST(removing_from_the_middle_keeps_the_others)
{
    struct cel__link list;
    struct cel__link a;
    struct cel__link b;
    struct cel__link c;

    cel__list_init(&list);
    cel__list_append(&list, &a);
    cel__list_append(&list, &b);
    cel__list_append(&list, &c);
    cel__list_remove(&b);
    CHECK_PTR(list.next, &a);
    CHECK_PTR(a.next, &c);
    CHECK_PTR(c.prev, &a);
    CHECK_PTR(list.prev, &c);
}

TEST(an_element_may_be_removed_twice)
{
    struct cel__link list;
    struct cel__link a;

    cel__list_init(&list);
    cel__list_append(&list, &a);
    cel__list_remove(&a);
    cel__list_remove(&a);
    CHECK(cel__list_empty(&list));
    CHECK(cel__list_empty(&a));
}
