/* SPDX-License-Identifier: MIT */
/* The count of forks. */
#include "base/fork.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* Fork `depth` times, each child the next; the last one's count. */
static int
count_after(int depth)
{
    int status;

    if (depth == 0) {
        return (int)cel__fork_count();
    }
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        _exit(count_after(depth - 1));
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(a_child_counts_one_more_than_its_parent)
{
    CHECK_EQ(cel__fork_count(), 0);
    CHECK_EQ(count_after(1), 1);
    CHECK_EQ(count_after(3), 3);
    CHECK_EQ(cel__fork_count(), 0);
}

TEST(forks_before_the_first_question_do_not_count)
{
    CHECK_EQ(count_after(2), 0);
}
