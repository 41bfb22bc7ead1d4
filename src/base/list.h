/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked lists, the links inside the things they link.
 *
 * A list is a link that is no element; an element outside any list points to
 * itself.  Unlinking needs no list and may be done twice.
 *
 * Threads: none of its own; whoever owns the list.
 */
#ifndef CEL_LIST_H
#define CEL_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Invariant: link->next->prev == link and link->prev->next == link. */
struct cel__link {
    struct cel__link *next; /* towards the back; the list itself at the end */
    struct cel__link *prev; /* towards the front */
};

/* The structure of type `type` whose member `member` `ptr` points to. */
#define cel__container(ptr, type, member)                                     \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void
cel__list_init(struct cel__link *link)
{
    link->next = link;
    link->prev = link;
}

static inline bool
cel__list_empty(const struct cel__link *link)
{
    return link->next == link;
}

/* Append `link`, which is in no list, at the back of `list`. */
static inline void
cel__list_append(struct cel__link *list, struct cel__link *link)
{
    struct cel__link *last = list->prev;

    link->prev = last;
    link->next = list;
    last->next = link;
    list->prev = link;
}

/* Take `link` out of its list; harmless where it is in none. */
static inline void
cel__list_remove(struct cel__link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link;
    link->prev = link;
}

/* The first element of `list`, or NULL. */
static inline struct cel__link *
cel__list_first(const struct cel__link *list)
{
    return list->next == list ? NULL : list->next;
}

/* Go over what `list` links by `member`: `item` is each in turn, and stays. */
#define cel__list_foreach(item, list, member)                                 \
    for (struct cel__link *link_ = (list)->next;                              \
         link_ != (list) &&                                                   \
         ((item) = cel__container(link_, __typeof__(*(item)), member));       \
         link_ = link_->next)

#endif
