/* SPDX-License-Identifier: MIT */
/*
 * The table of descriptors.
 */
#include "io/fd.h"

#include "tap.h"

TEST(an_entry_is_found_once_made)
{
    struct cel__fd_table table = {0};

    CHECK_PTR(cel__fd_find(&table, 0), NULL);
    CHECK_PTR(cel__fd_find(&table, -1), NULL);
    struct cel__fd *five = cel__fd_make(&table, 5);
    CHECK(five != NULL);
    CHECK_PTR(cel__fd_make(&table, 5), five);
    CHECK_PTR(cel__fd_find(&table, 5), five);
    CHECK(cel__fd_idle(five));
    CHECK_PTR(cel__fd_make(&table, -1), NULL);
    cel__fd_table_fini(&table);
}

TEST(entries_do_not_move_when_the_table_grows)
{
    struct cel__fd_table table = {0};

    struct cel__fd *low = cel__fd_make(&table, 3);
    struct cel__fd *high = cel__fd_make(&table, 1000000);
    CHECK(high != NULL);
    CHECK_PTR(cel__fd_find(&table, 3), low);
    CHECK_PTR(cel__fd_find(&table, 1000000), high);
    CHECK_PTR(cel__fd_find(&table, 500000), NULL);
    CHECK_PTR(cel__fd_find(&table, 2000000000), NULL);
    cel__fd_table_fini(&table);
}

TEST(a_walk_meets_every_entry_that_was_made)
{
    static const int numbers[] = {7, CEL__FD_CHUNK * 3 + 1,
                                  CEL__FD_CHUNK * 4 - 1};
    struct cel__fd_table table = {0};
    struct cel__fd *entry;
    int found = 0;

    for (int i = 0; i < 3; i++) {
        entry = cel__fd_make(&table, numbers[i]);
        CHECK(entry != NULL);
        entry->kind = CEL__FD_KIND_OTHER;
    }
    for (int fd = 0; (entry = cel__fd_next(&table, &fd)) != NULL; fd++) {
        CHECK_PTR(cel__fd_find(&table, fd), entry);
        found += entry->kind == CEL__FD_KIND_OTHER;
    }
    CHECK_EQ(found, 3);
    cel__fd_table_fini(&table);
}

TEST(a_call_is_worth_trying_unless_an_edge_tells_otherwise)
{
    struct cel__fd_table table = {0};
    struct cel__link waiter;

    CHECK(cel__fd_worth_trying(NULL, CEL__READABLE));
    struct cel__fd *entry = cel__fd_make(&table, 3);
    CHECK(entry != NULL);
    CHECK(cel__fd_worth_trying(entry, CEL__READABLE));
    entry->edge = CEL__READABLE;
    CHECK(!cel__fd_worth_trying(entry, CEL__READABLE));
    CHECK(cel__fd_worth_trying(entry, CEL__WRITABLE));
    entry->ready = CEL__READABLE;
    CHECK(cel__fd_worth_trying(entry, CEL__READABLE));
    cel__list_append(&entry->waiters[CEL__FD_READ], &waiter);
    CHECK(!cel__fd_worth_trying(entry, CEL__READABLE));
    CHECK(cel__fd_worth_trying(entry, CEL__WRITABLE));
    cel__fd_table_fini(&table);
}

TEST(a_short_read_drains_only_what_is_exact)
{
    struct cel__fd_table table = {0};

    cel__fd_drained(NULL, CEL__READABLE, true);
    struct cel__fd *entry = cel__fd_make(&table, 3);
    CHECK(entry != NULL);
    entry->ready = CEL__READABLE | CEL__WRITABLE;
    cel__fd_drained(entry, CEL__READABLE, false);
    CHECK_EQ(entry->ready, CEL__READABLE | CEL__WRITABLE);
    cel__fd_drained(entry, CEL__WRITABLE, false);
    CHECK_EQ(entry->ready, CEL__READABLE);
    entry->exact = true;
    cel__fd_drained(entry, CEL__READABLE, false);
    CHECK_EQ(entry->ready, 0);
    entry->exact = false;
    entry->ready = CEL__READABLE;
    cel__fd_drained(entry, CEL__READABLE, true);
    CHECK_EQ(entry->ready, 0);
    cel__fd_table_fini(&table);
}

TEST(a_reset_starts_a_new_generation)
{
    struct cel__fd_table table = {0};

    struct cel__fd *entry = cel__fd_make(&table, 3);
    CHECK(entry != NULL);
    uint32_t before = entry->generation;
    entry->owned = true;
    entry->edge = CEL__READABLE;
    cel__fd_reset(entry);
    CHECK_EQ(entry->generation, before + 1);
    CHECK(!entry->owned);
    CHECK_EQ(entry->edge, 0);
    cel__fd_table_fini(&table);
}
