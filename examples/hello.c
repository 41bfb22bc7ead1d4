/* SPDX-License-Identifier: MIT */
/*
 * The talk's coroutine: values go both ways.
 *
 * A generator runs only while somebody waits for its next value.  Each yield
 * hands one out and returns what came with the next question.
 */
#include <celadon.h>

#include <stdio.h>

static void
hello(cel_gen *gen, void *arg)
{
    void *answer;
    char line[64];

    if (cel_gen_yield(gen, arg, &answer) < 0) {
        return; /* nobody wants to know */
    }
    snprintf(line, sizeof(line), "Hello, %s! Where from?", (char *)answer);
    while (cel_gen_yield(gen, line, &answer) == 1 && answer != NULL) {
        snprintf(line, sizeof(line), "%s? How nice!", (char *)answer);
    }
}

static int
talk(void *arg)
{
    static char name[] = "Ada";
    static char city[] = "London";
    void *answers[] = {NULL, name, city, NULL};
    void *said = NULL;
    cel_gen *gen;

    int err = cel_gen_open(&gen, hello, arg);
    if (err < 0) {
        return err;
    }
    for (int i = 0; i < 4; i++) {
        int more = cel_gen_send(gen, answers[i], &said);
        printf("%s\n", more == 1 ? (char *)said : "(the end)");
    }
    cel_gen_close(gen);
    return 0;
}

int
main(void)
{
    static char question[] = "Hello! Who are you?";

    return cel_run(talk, question, NULL) == 0 ? 0 : 1;
}
