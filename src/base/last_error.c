/* SPDX-License-Identifier: Apache-2.0 */
#include "base/last_error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "zksync/err.h"

static _Thread_local char sentence[ZKS__ERROR_MAX];
static _Thread_local bool is_set;

const char *zks_last_error(void)
{
    return sentence;
}

void zks__error_begin(void)
{
    is_set = false;
}

int zks__error_set(int error, const char *format, ...)
{
    static const char prefix[] = "zksync: ";
    char text[ZKS__ERROR_MAX + sizeof prefix];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool prefixed = strncmp(text, prefix, strlen(prefix)) == 0;
    (void)snprintf(sentence, sizeof sentence, "%.*s", ZKS__ERROR_MAX - 1,
                   text + (prefixed ? strlen(prefix) : 0));
    is_set = true;
    return error;
}

int zks__error_end(int error)
{
    return error == 0 || is_set ? error : zks__error_set(error, "%s", zks_strerror(error));
}

int zks__error(int error)
{
    zks__error_begin();
    return zks__error_end(error);
}
