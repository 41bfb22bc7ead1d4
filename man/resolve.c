/* SPDX-License-Identifier: MIT */
/* The example of celadon_resolve(3): the addresses of a name. */
#include <celadon.h>

#include <netdb.h>
#include <stdio.h>

static int
look_up(void *arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char text[CEL_ADDR_TEXT];

    int err = cel_resolve(arg, "80", &hints, &found, cel_after(10 * CEL_SEC));
    if (err < 0) {
        return err;
    }
    for (struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (cel_addr_format(at->ai_addr, at->ai_addrlen, text, sizeof(text)) >
            0) {
            printf("%s\n", text);
        }
    }
    cel_resolve_free(found);
    return 0;
}

int
main(void)
{
    static char host[] = "localhost";

    return cel_run(look_up, host, NULL) < 0;
}
