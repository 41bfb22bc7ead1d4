/* SPDX-License-Identifier: MIT */
/*
 * Who looks names up.
 */
#include "names/choice.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "celadon/info.h"
#include "tap.h"

/* The stranger in a file that has `text`, or "". */
static const char *
stranger(const char *text)
{
    static char word[16];

    word[0] = '\0';
    (void)cel__choice_stranger(tap_save("nsswitch.conf", text), word,
                               sizeof(word));
    return word;
}

TEST(sources_of_names_beside_files_and_servers_are_found)
{
    CHECK_STR(stranger(""), "");
    CHECK_STR(stranger("passwd: files ldap\nhosts: files dns\n"), "");
    CHECK_STR(stranger("hosts:\tfiles dns # mdns4\n"), "");
    CHECK_STR(stranger("hosts: files [NOTFOUND=return] dns\n"), "");
    CHECK_STR(stranger("hosts: files [!UNAVAIL = return] dns\n"), "");
    CHECK_STR(stranger("hosts: files mdns4_minimal dns\n"), "mdns4_minimal");
    CHECK_STR(stranger("  hosts : resolve dns\n"), "resolve");
    CHECK_STR(stranger("hosts: files myhostname"), "myhostname");
}

TEST(without_the_file_there_is_none)
{
    char word[16];

    CHECK(!cel__choice_stranger("/nonexistent", word, sizeof(word)));
}

TEST(the_environment_chooses_the_systems)
{
    CHECK_EQ(setenv("CELADON_DNS", "127.0.0.1:9", 1), 0);
    CHECK_EQ(setenv("CELADON_RESOLVER", "system", 1), 0);
    CHECK(!cel__choice_is_ares());
}

TEST(the_environment_chooses_c_ares)
{
    CHECK_EQ(setenv("CELADON_RESOLVER", "ares", 1), 0);
    CHECK_EQ(cel__choice_is_ares(), CEL__HAVE_ARES);
}

TEST(name_servers_of_ones_own_are_asked_by_c_ares)
{
    CHECK_EQ(setenv("CELADON_DNS", "127.0.0.1:9", 1), 0);
    CHECK_EQ(unsetenv("CELADON_RESOLVER"), 0);
    CHECK_EQ(cel__choice_is_ares(), CEL__HAVE_ARES);
}

TEST(the_report_tells_who_looks_names_up)
{
    char report[4096];
    char line[160];

    CHECK_LT(cel_info_report(report, sizeof(report)), sizeof(report));
    (void)strcpy(line, "names: by ");
    (void)strncat(line, cel__choice_report(), 128);
    CHECK(strstr(report, line) != NULL);
}
