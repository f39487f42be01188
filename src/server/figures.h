/* SPDX-License-Identifier: Apache-2.0 */
/* What monitoring asks for, of one connection or of all: how much came and went, and how long answers took. */
#ifndef ZKS_SERVER_FIGURES_H
#define ZKS_SERVER_FIGURES_H

#include <stdint.h>

enum { ZKS__AVERAGE_SIZE = 32 };

struct zks__figures {
    uint64_t received; /* Frames. */
    uint64_t sent;     /* Frames, events among them. */
    uint64_t answered; /* As below: of the answers that could be sent already. */
    uint64_t total_ms;
    uint64_t min_ms;
    uint64_t max_ms;
    uint64_t last_ms;
};

/* zks__figures_answered: so many answers could be sent so long after their requests had come. */
void zks__figures_answered(struct zks__figures *f, uint64_t n, uint64_t ms);

/* zks__figures_average: the average time in milliseconds, as ZooKeeper writes it: "0.3095", and "0.0" before
 * there is any. */
void zks__figures_average(const struct zks__figures *f, char text[ZKS__AVERAGE_SIZE]);

/* zks__figures_descriptors: how many descriptors the process has open, and may have; 0 where the system does not
 * tell. */
void zks__figures_descriptors(uint64_t *open, uint64_t *most);

#endif
