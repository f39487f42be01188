/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "zksync/config.h"

static const int64_t longest_ms = INT64_C(1000) * 366 * 24 * 3600 * 1000; /* A thousand years. */

static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000},     {"ms", 1},      {"s", 1000},    {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

/* By hand, since strtod() depends on the locale and takes "0x1p3" and "nan". */
bool zks_parse_duration(const char *text, int64_t *ms)
{
    double value = 0;
    double place = 1;
    size_t digits = 0;
    const char *at = text;
    if (strcmp(text, "forever") == 0) {
        *ms = ZKS_FOREVER;
        return true;
    }
    for (; isdigit((unsigned char)*at); at++, digits++) {
        value = value * 10 + (*at - '0');
    }
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at); at++, digits++) {
            place /= 10;
            value += (*at - '0') * place;
        }
    }
    int64_t unit = unit_ms(at);
    if (digits == 0 || unit == 0 || value * (double)unit > (double)longest_ms) {
        return false;
    }
    int64_t rounded = (int64_t)(value * (double)unit + 0.5);
    *ms = rounded == 0 && value > 0 ? 1 : rounded;
    return true;
}
