/* SPDX-License-Identifier: Apache-2.0 */
/* Plans that once showed a defect, kept: each must pass. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "history.h"
#include "test.h"

static bool is_plan(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".plan") == 0;
}

static void run(const char *name)
{
    char path[1024];
    struct plan plan;
    struct history_result r;
    snprintf(path, sizeof path, "%s/plans/%s", SIM_FOLDER, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(plan_read(&plan, file));
    fclose(file);
    history_run(&plan, NULL, &r);
    if (r.failed) {
        fail_msg("%s: %s: %s", name, r.checker, r.failure);
    }
}

static void test_plans(void **state)
{
    unsigned n = 0;
    DIR *folder = opendir(SIM_FOLDER "/plans");
    (void)state;
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (is_plan(e->d_name)) {
            run(e->d_name);
            n++;
        }
    }
    closedir(folder);
    assert_true(n > 0);
}

/* A plan that is written down and read back is the same, and so is its history. */
static void test_text(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct plan plan;
        struct plan copy;
        struct history_result a;
        struct history_result b;
        plan_make(&plan, seed);
        FILE *file = tmpfile();
        assert_non_null(file);
        plan_write(&plan, file);
        rewind(file);
        assert_true(plan_read(&copy, file));
        fclose(file);
        history_run(&plan, NULL, &a);
        history_run(&copy, NULL, &b);
        assert_int_equal(a.steps, b.steps);
        assert_int_equal(a.ended_ms, b.ended_ms);
        assert_int_equal(a.failed, b.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans), cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
