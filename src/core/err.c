/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/err.h"

const char *zks_strerror(int error)
{
    switch (error) {
    case 0:
        return "Success.";
#define TEXT(name, number, text)                                                                   \
    case name:                                                                                     \
        return text;
        ZKS_ERRORS(TEXT)
#undef TEXT
    default:
        return "This number is not an error of zksync's.";
    }
}

const char *zks_err_name(int error)
{
    switch (error) {
    case 0:
        return "0";
#define NAME(name, number, text)                                                                   \
    case name:                                                                                     \
        return #name;
        ZKS_ERRORS(NAME)
#undef NAME
    default:
        return "?";
    }
}

bool zks_err_is_retryable(int error)
{
    switch (error) {
    case ZKS_ENOMEM:
    case ZKS_EBUSY:
    case ZKS_ETIMEDOUT:
    case ZKS_ELOST:
    case ZKS_ESESSION:
    case ZKS_EDISCONNECTED:
    case ZKS_EEXIST:
    case ZKS_ETOOMANY:
    case ZKS_ESYSTEM:
    case ZKS_ELIMIT:
        return true;
    default:
        return false;
    }
}

bool zks_err_is_ambiguous(int error)
{
    switch (error) {
    case ZKS_ETIMEDOUT:
    case ZKS_ECANCELED:
    case ZKS_ECLOSED:
    case ZKS_ELOST:
    case ZKS_ESESSION:
    case ZKS_EDISCONNECTED:
    case ZKS_EAUTH:
    case ZKS_EACCES:
    case ZKS_ESERVER:
        return true;
    default:
        return false;
    }
}
