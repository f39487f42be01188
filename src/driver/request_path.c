/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/request_path.h"

#include <stdio.h>
#include <string.h>

const char *zks__join(zks__path_buffer buf, const char *dir, const char *name, const char *below)
{
    const char *root = strcmp(dir, "/") == 0 ? "" : dir;
    if (name == NULL) {
        return dir;
    }
    (void)snprintf(buf, sizeof(zks__path_buffer), "%s/%s%s%s", root, name, below != NULL ? "/" : "",
                   below != NULL ? below : "");
    return buf;
}
