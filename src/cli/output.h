/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output, and writing to it that fails. */
#ifndef ZKS_CLI_OUTPUT_H
#define ZKS_CLI_OUTPUT_H

/* cli_flush: writes what has been printed.  Returns `code`, or CLI_SYSTEM if it cannot be written, which
 * has been said then unless the reader has gone.  The end of the program does this too. */
int cli_flush(int code);

#endif
