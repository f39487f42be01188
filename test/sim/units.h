/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_SIM_UNITS_H
#define ZKS_SIM_UNITS_H

#include <stdint.h>

/* The true time is in microseconds. */
enum { MS = 1000 };

#define NEVER UINT64_MAX

#endif
