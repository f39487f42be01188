/* SPDX-License-Identifier: Apache-2.0 */
/* Which clock zks_clock_ms() is: one that goes on while the machine sleeps. In a time namespace that clock is
 * ahead of the others, as it is after a sleep. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "zksync/zksync.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { OK, WRONG, NO_NAMESPACE };

static bool sleep_in_a_namespace(void)
{
    bool separate = unshare(CLONE_NEWTIME) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWTIME) == 0;
    FILE *offsets = separate ? fopen("/proc/self/timens_offsets", "w") : NULL;
    bool set = offsets != NULL && fputs("boottime 1000 0\n", offsets) >= 0;
    return offsets != NULL && fclose(offsets) == 0 && set;
}

static uint64_t boot_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int compare(void)
{
    uint64_t before = boot_ms();
    uint64_t now = zks_clock_ms();
    return now >= before && now <= boot_ms() ? OK : WRONG;
}

static int exit_code(pid_t pid)
{
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
}

/* The namespace is that of the children of the process that has made it. */
static int after_a_sleep(void)
{
    if (!sleep_in_a_namespace()) {
        return NO_NAMESPACE;
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(compare());
    }
    return exit_code(pid);
}

static void test_it_goes_on_while_the_machine_sleeps(void **state)
{
    (void)state;
    assert_int_equal(compare(), OK);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(after_a_sleep());
    }
    int code = exit_code(pid);
    if (code == NO_NAMESPACE) {
        (void)puts("# SKIP the system gives no time namespace");
        skip();
    }
    assert_int_equal(code, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_on_while_the_machine_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
