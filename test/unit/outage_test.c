/* SPDX-License-Identifier: Apache-2.0 */
/* When a session without an answer is given up. */
#include <string.h>

#include "core/step.h"
#include "driver/outage.h"
#include "unit.h"

enum { TIMEOUT = 4000 };

static uint64_t over(const struct zks__outage *o)
{
    return zks__outage_over_ms(o, TIMEOUT);
}

static void test_not_while_there_are_answers(void **state)
{
    struct zks__outage o;
    (void)state;
    memset(&o, 0, sizeof o);
    assert_true(over(&o) == ZKS__NEVER);
    zks__outage_connected(&o);
    zks__outage_answered(&o);
    assert_true(over(&o) == ZKS__NEVER);
    zks__outage_cut(&o, 1000);
    assert_true(over(&o) == 1000 + 3 * TIMEOUT);
    zks__outage_connected(&o);
    zks__outage_answered(&o);
    assert_true(over(&o) == ZKS__NEVER);
    zks__outage_cut(&o, 2000);
    assert_true(over(&o) == 2000 + 3 * TIMEOUT);
}

static void test_a_connection_without_an_answer_is_no_end(void **state)
{
    struct zks__outage o;
    (void)state;
    memset(&o, 0, sizeof o);
    zks__outage_connected(&o);
    zks__outage_answered(&o);
    zks__outage_cut(&o, 1000);
    for (uint64_t cuts = 1; cuts < 5; cuts++) {
        zks__outage_connected(&o);
        zks__outage_cut(&o, 1000 + 10 * cuts);
        assert_true(over(&o) == 1000 + (cuts < 3 ? 3 : 1) * (uint64_t)TIMEOUT);
    }
    zks__outage_connected(&o);
    zks__outage_answered(&o);
    zks__outage_cut(&o, 5000);
    assert_true(over(&o) == 5000 + 3 * TIMEOUT);
}

static void test_a_session_that_never_had_an_answer(void **state)
{
    struct zks__outage o;
    (void)state;
    memset(&o, 0, sizeof o);
    for (int i = 0; i < 3; i++) {
        zks__outage_connected(&o);
        zks__outage_cut(&o, 1000);
    }
    assert_true(over(&o) == 1000 + TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_while_there_are_answers),
        cmocka_unit_test(test_a_connection_without_an_answer_is_no_end),
        cmocka_unit_test(test_a_session_that_never_had_an_answer),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
