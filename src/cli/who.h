/* SPDX-License-Identifier: Apache-2.0 */
/* Who somebody is, from what its znode says, which anyone may have written. */
#ifndef ZKS_CLI_WHO_H
#define ZKS_CLI_WHO_H

#include <cjson/cJSON.h>

#include "zksync/observer.h"

enum { CLI_WHO_SIZE = 400 };

/* cli_who: "web1:4242 root (backup)", without anything that a terminal would obey. */
const char *cli_who(const char *data, char buf[CLI_WHO_SIZE]);

/* cli_reason: the reason that it gives, "" if there is none. */
const char *cli_reason(const char *data, char buf[CLI_WHO_SIZE]);

/* cli_clean: the same for any text: a copy with a "?" for each control character. */
const char *cli_clean(const char *text, char *buf, size_t size);

/* cli_who_json: adds host, pid, user, identity, reason and started_ms as far as they are known. */
void cli_who_json(cJSON *to, const char *data);

/* cli_contender_json, cli_participant_json: a new object, NULL where there is no memory. */
cJSON *cli_contender_json(const struct zks_contender *c);
cJSON *cli_participant_json(const struct zks_participant *p);

/* cli_json_number: adds a whole number in all its digits. */
void cli_json_number(cJSON *to, const char *name, uint64_t value);

/* cli_basename: what is behind the last slash. */
const char *cli_basename(const char *path);

#endif
