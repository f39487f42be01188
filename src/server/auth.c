/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <sha1.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_TEXT = 28 }; /* 20 bytes in base 64. */

_Static_assert(ZKS__IDENTITIES_MAX == 32 && ZKS__IDENTITY_BYTES_MAX == 4096,
               "as the sentences say");

static const char no_memory[] = "there is not enough memory";

static const char too_long[] = "a connection's identities may have 4096 bytes together";

const char *zks__identity_add(struct zks__identity *who, const char *scheme, const char *id)
{
    size_t bytes = strlen(scheme) + strlen(id);
    for (size_t i = 0; i < who->n; i++) {
        if (strcmp(who->ids[i].scheme, scheme) == 0 && strcmp(who->ids[i].id, id) == 0) {
            return NULL;
        }
    }
    if (who->n >= ZKS__IDENTITIES_MAX) {
        return "a connection may have 32 identities";
    }
    if (bytes > ZKS__IDENTITY_BYTES_MAX - who->bytes) {
        return too_long;
    }
    struct zks__id *ids = realloc(who->ids, (who->n + 1) * sizeof *ids);
    char *scheme_copy = strdup(scheme);
    char *id_copy = strdup(id);
    who->ids = ids != NULL ? ids : who->ids;
    if (ids == NULL || scheme_copy == NULL || id_copy == NULL) {
        free(scheme_copy);
        free(id_copy);
        return no_memory;
    }
    who->ids[who->n++] = (struct zks__id){scheme_copy, id_copy};
    who->bytes += bytes;
    return NULL;
}

void zks__identity_close(struct zks__identity *who)
{
    for (size_t i = 0; i < who->n; i++) {
        free((char *)(uintptr_t)who->ids[i].scheme);
        free((char *)(uintptr_t)who->ids[i].id);
    }
    free(who->ids);
    *who = (struct zks__identity){0};
}

static void write_base64(char *to, const unsigned char *from, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = (uint32_t)from[i] << 16 | (uint32_t)(i + 1 < len ? from[i + 1] : 0) << 8 |
                         (uint32_t)(i + 2 < len ? from[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) {
            *to++ = i + k <= len ? digits[three >> (18 - 6 * k) & 63] : '=';
        }
    }
    *to = '\0';
}

const char *zks__identity_add_digest(struct zks__identity *who, const void *credentials, size_t len)
{
    const unsigned char *colon = len > 0 ? memchr(credentials, ':', len) : NULL;
    size_t user = colon != NULL ? (size_t)(colon - (const unsigned char *)credentials) : len;
    unsigned char hash[SHA1_DIGEST_LENGTH];
    char id[ZKS__IDENTITY_BYTES_MAX + 1];
    if (user + 1 + HASH_TEXT >= sizeof id) {
        return too_long;
    }
    SHA1_CTX context;
    SHA1Init(&context);
    SHA1Update(&context, credentials, len);
    SHA1Final(hash, &context);
    if (user > 0) {
        memcpy(id, credentials, user);
    }
    id[user] = ':';
    write_base64(id + user + 1, hash, sizeof hash);
    return zks__identity_add(who, "digest", id);
}

bool zks__same_secret(const void *given, size_t len, const char *secret)
{
    const unsigned char *a = given;
    size_t n = strlen(secret);
    unsigned differ = len != n;
    for (size_t i = 0; i < len && n > 0; i++) {
        differ |= (unsigned)(a[i] ^ (unsigned char)secret[i % n]);
    }
    return differ == 0;
}
