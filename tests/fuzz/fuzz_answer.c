/* SPDX-License-Identifier: MIT */
/*
 * Lists of addresses for callers: of as many kinds and addresses as there
 * are, whole in one block, which a copy is the same as.
 */
#include "names/answer.h"

#include <string.h>

#include "fuzz.h"

/* Whether two lists say the same; both as long. */
static void
compare(const struct addrinfo *a, const struct addrinfo *b)
{
    for (; a != NULL; a = a->ai_next, b = b->ai_next) {
        MUST(b != NULL && a->ai_family == b->ai_family);
        MUST(a->ai_socktype == b->ai_socktype);
        MUST(a->ai_addrlen == b->ai_addrlen);
        MUST(memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen) == 0);
        MUST((a->ai_canonname == NULL) == (b->ai_canonname == NULL));
        MUST(a->ai_canonname == NULL ||
             strcmp(a->ai_canonname, b->ai_canonname) == 0);
    }
    MUST(b == NULL);
}

/* The answer that `size` bytes tell: a byte an address, the rest a name. */
static struct cel__answer *
make(const uint8_t *data, size_t size, size_t naddrs)
{
    char canon[256] = "";

    size = size < sizeof(canon) ? size : sizeof(canon) - 1;
    memcpy(canon, data, size);
    struct cel__answer *answer = cel__answer_make(naddrs, canon);
    MUST(answer != NULL);
    for (size_t i = 0; i < naddrs; i++) {
        union cel__answer_addr *addr = &answer->addrs[i];
        addr->any.sa_family = (data[i % size] & 1) != 0 ? AF_INET6 : AF_INET;
        memset((char *)addr + 4, data[i % size], 4);
    }
    return answer;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct addrinfo kinds[4] = {0};

    if (size < 3) {
        return 0;
    }
    size_t nkinds = 1 + data[0] % 4;
    size_t naddrs = 1 + data[1] % 40;
    memcpy(&in.sin_port, data, sizeof(in.sin_port));
    for (size_t i = 0; i < nkinds; i++) {
        kinds[i].ai_socktype = (int)i;
        kinds[i].ai_addr = (struct sockaddr *)&in;
        kinds[i].ai_addrlen = sizeof(in);
        kinds[i].ai_next = i + 1 < nkinds ? &kinds[i + 1] : NULL;
    }
    struct cel__answer *answer = make(data + 2, size - 2, naddrs);
    struct addrinfo *list = cel__answer_list(answer, kinds, data[2] & 1);
    MUST(list != NULL);
    struct addrinfo *copy = cel__answer_copy(list);
    MUST(copy != NULL);
    cel__answer_unref(answer);
    compare(list, copy);
    size_t n = 0;
    for (const struct addrinfo *one = copy; one != NULL; one = one->ai_next) {
        const struct sockaddr_in *addr = (void *)one->ai_addr;
        MUST(addr->sin_port == in.sin_port);
        n++;
    }
    MUST(n == naddrs * nkinds);
    free(copy);
    free(list);
    return 0;
}
