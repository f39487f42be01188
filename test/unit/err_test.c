/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions about errors, as the library's users link them. */
#include <string.h>

#include "unit.h"
#include "zksync/zksync.h"

static const struct {
    int number;
    const char *name;
    const char *text;
} errors[] = {
#define ROW(name, number, text) {name, #name, text},
    ZKS_ERRORS(ROW)
#undef ROW
};

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(zks_strerror(0), "Success.");
    assert_string_equal(zks_err_name(0), "0");
    for (size_t i = 0; i < COUNT(errors); i++) {
        assert_string_equal(zks_err_name(errors[i].number), errors[i].name);
        assert_string_equal(zks_strerror(errors[i].number), errors[i].text);
    }
}

/* Numbers are part of the ABI: from -1 down without a gap, so that none is used twice. */
static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        assert_int_equal(errors[i].number, -1 - (int)i);
    }
    assert_int_equal(ZKS_EINVAL, -1);
    assert_int_equal(ZKS_ESYSTEM, -24);
    assert_int_equal(ZKS_ELIMIT, -27);
}

static void test_unknown_numbers(void **state)
{
    (void)state;
    static const int unknown[] = {1, 7, -28, -1000, -1001, -1002, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        const char *text = zks_strerror(unknown[i]);
        assert_non_null(text);
        assert_true(strlen(text) > 0);
        for (size_t k = 0; k < COUNT(errors); k++) {
            assert_string_not_equal(text, errors[k].text);
        }
        assert_string_not_equal(text, "Success.");
        assert_string_equal(zks_err_name(unknown[i]), "?");
        assert_false(zks_err_is_retryable(unknown[i]));
    }
}

static void test_retryable(void **state)
{
    (void)state;
    static const int yes[] = {ZKS_EBUSY, ZKS_ETIMEDOUT, ZKS_EDISCONNECTED, ZKS_ESESSION};
    static const int no[] = {0,           ZKS_EINVAL,   ZKS_EDEADLK, ZKS_EPERM,      ZKS_EACCES,
                             ZKS_EAUTH,   ZKS_ECLOSED,  ZKS_ELAYOUT, ZKS_EEPHEMERAL, ZKS_ENOCHROOT,
                             ZKS_EFORKED, ZKS_EMISMATCH};
    for (size_t i = 0; i < COUNT(yes); i++) {
        assert_true(zks_err_is_retryable(yes[i]));
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        assert_false(zks_err_is_retryable(no[i]));
    }
}

static void test_ambiguous(void **state)
{
    (void)state;
    static const int no[] = {0,         ZKS_EINVAL,  ZKS_EBUSY,  ZKS_EDEADLK,
                             ZKS_EPERM, ZKS_EFORKED, ZKS_ELAYOUT};
    assert_true(zks_err_is_ambiguous(ZKS_ETIMEDOUT));
    assert_true(zks_err_is_ambiguous(ZKS_ECANCELED));
    assert_true(zks_err_is_ambiguous(ZKS_ECLOSED));
    assert_true(zks_err_is_ambiguous(ZKS_EACCES));
    assert_true(zks_err_is_ambiguous(ZKS_ESERVER));
    assert_true(zks_err_is_ambiguous(ZKS_EAUTH));
    for (size_t i = 0; i < COUNT(no); i++) {
        assert_false(zks_err_is_ambiguous(no[i]));
    }
}

static void test_state_names(void **state)
{
    (void)state;
    assert_string_equal(zks_client_state_name(ZKS_CLIENT_CONNECTED), "connected");
    for (int i = ZKS_CLIENT_CONNECTING; i <= ZKS_CLIENT_CLOSED; i++) {
        const char *name = zks_client_state_name((enum zks_client_state)i);
        assert_string_not_equal(name, "?");
        for (int k = ZKS_CLIENT_CONNECTING; k < i; k++) {
            assert_string_not_equal(name, zks_client_state_name((enum zks_client_state)k));
        }
    }
    assert_string_equal(zks_client_state_name((enum zks_client_state)(ZKS_CLIENT_CLOSED + 1)), "?");
    assert_string_equal(zks_client_state_name((enum zks_client_state)99), "?");
}

static void test_version(void **state)
{
    (void)state;
    assert_string_equal(zks_version(), ZKS_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),           cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unknown_numbers), cmocka_unit_test(test_retryable),
        cmocka_unit_test(test_ambiguous),       cmocka_unit_test(test_state_names),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
