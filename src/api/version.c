/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/zksync.h"

const char *zks_version(void)
{
    return ZKS_VERSION;
}
