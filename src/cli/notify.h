/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's protocol for services that say when they are ready: see sd_notify(3). */
#ifndef ZKS_CLI_NOTIFY_H
#define ZKS_CLI_NOTIFY_H

/* cli_notify: sends lines such as "READY=1" to whoever has started us, where $NOTIFY_SOCKET names one. */
void cli_notify(const char *lines);

#endif
