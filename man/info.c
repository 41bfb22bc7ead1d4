/* SPDX-License-Identifier: MIT */
/* The example of celadon_info(3): what there is to say of this system. */
#include <celadon.h>

#include <stdio.h>

int
main(void)
{
    char text[4096];
    const char *why = cel_info_refusal("uring");

    (void)cel_info_report(text, sizeof(text));
    printf("%s", text);
    printf("io_uring in %s: %s\n", cel_info_version(),
           why == NULL ? "to be had" : why);
    return 0;
}
