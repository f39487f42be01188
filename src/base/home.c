/* SPDX-License-Identifier: Apache-2.0 */
#include "base/home.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ENTRY_MAX = 4096 };

/* A program that runs with rights that its caller does not have must not follow the caller's environment. */
bool zks__home(char *buf, size_t size)
{
    char memory[ENTRY_MAX];
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

const char *zks__user_name(uid_t uid, char name[ZKS__USER_MAX])
{
    char memory[ENTRY_MAX];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(uid, &entry, memory, sizeof memory, &found) == 0 && found != NULL) {
        (void)snprintf(name, ZKS__USER_MAX, "%s", found->pw_name);
    } else {
        (void)snprintf(name, ZKS__USER_MAX, "user %llu", (unsigned long long)uid);
    }
    return name;
}
