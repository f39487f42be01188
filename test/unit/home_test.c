/* SPDX-License-Identifier: Apache-2.0 */
/* A program that runs with rights that its caller does not have: it keeps its state where its own user does,
 * wherever the caller's environment points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "zksync/zksync.h"

enum { OTHER = 65534, SAME_RIGHTS = 3, PATH_SIZE = 256 };

static char elsewhere[] = "/tmp/zksync-of-the-caller";
static const char *program; /* This one. */

/* What the copy of this program does. */
static int show_folder(void)
{
    char folder[4096] = "";
    if (geteuid() == getuid()) {
        return SAME_RIGHTS;
    }
    (void)zks_local_folder(folder, sizeof folder);
    (void)puts(folder);
    (void)fflush(stdout);
    return 0;
}

static bool copy_of_this_program(const char *path)
{
    char command[16 * PATH_SIZE];
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", program, path);
    return system(command) == 0 && chown(path, OTHER, OTHER) == 0 && chmod(path, 04755) == 0;
}

static int run(const char *path, char *told, size_t size)
{
    int ends[2];
    int status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)setenv("HOME", elsewhere, 1);
        (void)setenv("XDG_STATE_HOME", elsewhere, 1);
        (void)execl(path, path, "--show", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    ssize_t len = read(ends[0], told, size - 1);
    told[len > 0 ? len : 0] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_the_environment_of_the_caller(void **state)
{
    char folder[] = "/tmp/zksync-home-XXXXXX";
    char path[PATH_SIZE];
    char told[4096];
    (void)state;
    if (geteuid() != 0) {
        (void)puts("# SKIP only root can make a program of another user");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/program", folder);
    bool made = copy_of_this_program(path);
    int code = made ? run(path, told, sizeof told) : -1;
    (void)unlink(path);
    (void)rmdir(folder);
    assert_true(made);
    if (code == SAME_RIGHTS || code == 127) {
        (void)puts("# SKIP programs in /tmp do not get the rights of their owner");
        skip();
    }
    assert_int_equal(code, 0);
    assert_null(strstr(told, elsewhere));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_environment_of_the_caller),
    };
    if (argc == 2 && strcmp(argv[1], "--show") == 0) {
        _exit(show_folder()); /* A sanitizer may not look at a process of another user. */
    }
    program = argv[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
