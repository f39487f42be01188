/* SPDX-License-Identifier: Apache-2.0 */
/* What the library takes for a path: neither more nor less than the servers do, but for "/". */
#include <stdio.h>
#include <string.h>

#include "api/common.h"
#include "unit.h"

static void test_valid(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/a",
        "/a/b",
        "/a/b/c/d/e",
        "/a b",
        "/...",
        "/.a",
        "/a.",
        "/a/..b/c..",
        "/zookeeper/x",
        "/_c_0123-read-0000000001",
        "/gr\xc3\xbc\xc3\x9f",
        "/\xe6\x97\xa5\xe6\x9c\xac",
        "/\xef\xa4\x80", /* U+F900, right behind the private use area. */
        "/\xef\xbf\xaf", /* U+FFEF */
        "/\xc2\xa0",
        "/~",
    };
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("# %zu\n", i);
        assert_true(zks__dir_valid(paths[i]));
    }
}

static void test_not_valid(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "a",
        "a/b",
        " /a",
        "/",
        "//",
        "//a",
        "/a/",
        "/a//b",
        "/.",
        "/..",
        "/a/.",
        "/a/..",
        "/./a",
        "/../a",
        "/a/./b",
        "/a/../b",
        "/a\nb",
        "/a\tb",
        "/\x01",
        "/\x1f",
        "/\x7f",
        "/\xc2\x80",     /* U+0080 */
        "/\xc2\x9f",     /* U+009F */
        "/\xed\xa0\x80", /* U+D800, a surrogate */
        "/\xee\x80\x80", /* U+E000, private use */
        "/\xef\xa3\xbf", /* U+F8FF */
        "/\xef\xbf\xb0", /* U+FFF0 */
        "/\xef\xbf\xbf",
    };
    assert_false(zks__dir_valid(NULL));
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("# %zu\n", i);
        assert_false(zks__dir_valid(paths[i]));
    }
}

static void test_not_utf8(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/\x80",
        "/\xbf",
        "/a\xc3",
        "/\xc3/b",
        "/\xe6\x97",
        "/\xe6\x97/",
        "/\xf0\x9f\x98",
        "/\xff",
        "/\xfe",
        "/\xc0\xaf",
        "/\xc1\xbf",
        "/\xe0\x81\x81", /* Longer than need be. */
        "/\xf8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("# %zu\n", i);
        assert_false(zks__dir_valid(paths[i]));
    }
}

/* The servers look at UTF-16: what needs a pair of surrogates there is refused. */
static void test_beyond_the_basic_plane(void **state)
{
    (void)state;
    assert_false(zks__dir_valid("/\xf0\x9f\x98\x80"));
    assert_false(zks__dir_valid("/\xf0\x90\x80\x80"));
    assert_false(zks__dir_valid("/\xf7\xbf\xbf\xbf"));
}

static void test_length(void **state)
{
    (void)state;
    char path[ZKS__PATH_MAX + 2];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[ZKS__PATH_MAX] = '\0';
    assert_true(zks__dir_valid(path));
    path[ZKS__PATH_MAX] = 'a';
    path[ZKS__PATH_MAX + 1] = '\0';
    assert_false(zks__dir_valid(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),    cmocka_unit_test(test_not_valid),
        cmocka_unit_test(test_not_utf8), cmocka_unit_test(test_beyond_the_basic_plane),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
