/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "exit.h"
#include "settings.h"

int cli_flush(int code)
{
    static bool told;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    if (!told && errno != EPIPE) {
        cli_say("standard output: %s", errno != 0 ? strerror(errno) : "write error");
    }
    told = true;
    return CLI_SYSTEM;
}
