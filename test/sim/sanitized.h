/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_SIM_SANITIZED_H
#define ZKS_SIM_SANITIZED_H

/* Whether the address sanitizer watches: it wants to see each block, and takes its time. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
