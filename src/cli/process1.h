/* SPDX-License-Identifier: Apache-2.0 */
/* Process 1 of a container.  No signal has a default action there, and the orphans of others become its children.
 * In any other process nothing here has an effect. */
#ifndef ZKS_CLI_PROCESS1_H
#define ZKS_CLI_PROCESS1_H

/* cli_process1_take_signals: TERM, INT and HUP end the process at once with 128 and their number, except those that
 * were ignored when it was started. */
void cli_process1_take_signals(void);

/* cli_process1_reap: no child stays a zombie, so that none can be waited for either. */
void cli_process1_reap(void);

#endif
