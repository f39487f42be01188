/* SPDX-License-Identifier: Apache-2.0 */
/* What libzookeeper is told of a list of servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/servers.h"

static void becomes(const char *text, const char *connect)
{
    struct zks__servers *servers = NULL;
    assert_int_equal(zks__servers_parse(text, &servers), 0);
    assert_string_equal(servers->connect, connect);
    zks__servers_free(servers);
}

/* With an even number of addresses libzookeeper can skip some of them for ever. */
static void test_the_number_is_odd(void **state)
{
    (void)state;
    becomes("127.0.0.1:1", "127.0.0.1:1");
    becomes("127.0.0.1:1,127.0.0.2:1", "127.0.0.1:1,127.0.0.2:1,127.0.0.1:1");
    becomes("127.0.0.1:1,127.0.0.2:1,127.0.0.3:1", "127.0.0.1:1,127.0.0.2:1,127.0.0.3:1");
}

static void test_brackets_and_roots(void **state)
{
    (void)state;
    becomes("[::1]:2181", "::1:2181");
    becomes("127.0.0.1:1,127.0.0.2:1/a/b", "127.0.0.1:1,127.0.0.2:1,127.0.0.1:1/a/b");
    becomes("127.0.0.1:1/", "127.0.0.1:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_number_is_odd),
        cmocka_unit_test(test_brackets_and_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
