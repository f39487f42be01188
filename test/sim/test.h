/* SPDX-License-Identifier: Apache-2.0 */
/* What cmocka asks for. */
#ifndef ZKS_SIM_TEST_H
#define ZKS_SIM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What is of interest where all is well, too: tools/run-tests shows lines that begin so. */
#define REPORT "#: "

#endif
