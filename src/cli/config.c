/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "look.h"

static void print_table(const zks_config *config)
{
    bool exists = false;
    for (int i = 0; i < ZKS_SETTINGS; i++) {
        enum zks_setting setting = (enum zks_setting)i;
        const char *value = zks_config_value(config, setting);
        printf("%-15s  %s  (%s%s)\n", zks_config_name(setting), value[0] != '\0' ? value : "-",
               zks_config_origin(config, setting),
               zks_config_is_used(config, setting) ? "" : ", not used for these servers");
    }
    for (size_t n = 0; zks_config_file(config, n, &exists) != NULL; n++) {
        printf("file             %s%s\n", zks_config_file(config, n, NULL),
               exists ? "" : "  (not there)");
    }
}

static int print_json(const zks_config *config)
{
    bool exists = false;
    cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < ZKS_SETTINGS; i++) {
        enum zks_setting setting = (enum zks_setting)i;
        cJSON *one = cJSON_AddObjectToObject(object, zks_config_name(setting));
        cJSON_AddStringToObject(one, "value", zks_config_value(config, setting));
        cJSON_AddStringToObject(one, "origin", zks_config_origin(config, setting));
    }
    cJSON *files = cJSON_AddArrayToObject(object, "files");
    for (size_t n = 0; zks_config_file(config, n, &exists) != NULL; n++) {
        cJSON *file = cJSON_CreateObject();
        cJSON_AddStringToObject(file, "path", zks_config_file(config, n, NULL));
        cJSON_AddBoolToObject(file, "exists", exists);
        cJSON_AddItemToArray(files, file);
    }
    return cli_print_json(object);
}

/* It shows the settings also where they are not valid: that is when they are looked at. */
int cli_config(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false;
    int code = CLI_OK;
    if (!cli_json_option(&parser, s, argc, argv, &json)) {
        return parser.exit;
    }
    if (optind < argc) {
        return cli_usage(argv[0], "unexpected argument: \"%s\"", argv[optind]);
    }
    if (json) {
        code = print_json(s->config);
    } else {
        print_table(s->config);
        code = CLI_OK;
    }
    if (code == CLI_OK && zks_config_check(s->config) != 0) {
        cli_say("%s", zks_config_error(s->config));
        code = CLI_CONFIG;
    }
    return code;
}
