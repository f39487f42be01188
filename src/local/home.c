/* SPDX-License-Identifier: Apache-2.0 */
#include "local/home.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A program that runs with rights that its caller does not have must not follow the caller's environment. */
bool zks__home(char *buf, size_t size)
{
    char memory[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    const char *home = secure_getenv("HOME");
    if (home == NULL || home[0] != '/') {
        bool known = getpwuid_r(geteuid(), &entry, memory, sizeof memory, &found) == 0 &&
                     found != NULL && found->pw_dir != NULL;
        home = known && found->pw_dir[0] == '/' ? found->pw_dir : NULL;
    }
    int len = home != NULL ? snprintf(buf, size, "%s", home) : -1;
    return len >= 0 && (size_t)len < size;
}
