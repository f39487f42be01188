/* SPDX-License-Identifier: Apache-2.0 */
/* Access control lists: who may do what with a znode.  The same list is kept once. */
#ifndef ZKS_TREE_ACL_H
#define ZKS_TREE_ACL_H

#include "map.h"
#include "network.h"

enum zks__perm {
    ZKS__PERM_READ = 1,
    ZKS__PERM_WRITE = 2,
    ZKS__PERM_CREATE = 4,
    ZKS__PERM_DELETE = 8,
    ZKS__PERM_ADMIN = 16
};

/* Who somebody is, or who is meant: {"ip", "127.0.0.1"}, {"digest", "user:hash"}. */
struct zks__id {
    const char *scheme;
    const char *id;
};

struct zks__ace {
    int32_t perms;
    struct zks__id id;
};

struct zks__ace_key {
    uint64_t hash; /* Of who is meant. */
    size_t at;     /* In aces. */
};

struct zks__ace_network {
    struct zks__network network;
    int32_t perms;
};

struct zks__acl {
    struct zks__link link;
    size_t uses;
    size_t size; /* Of its texts, and 12 bytes for each entry. */
    size_t n;
    size_t n_networks;                 /* Entries of the scheme "ip". */
    struct zks__ace_network *networks; /* Those. */
    struct zks__ace_key *keys;         /* The others, in the order of their hashes. */
    int32_t anyone;                    /* What everybody may do. */
    struct zks__ace aces[];
};

/* The identities of a connection.  {"super", ""} may do everything. */
struct zks__ids {
    const struct zks__id *id;
    size_t n;
};

struct zks__acls {
    struct zks__map lists;
    size_t max_entries; /* Of a list that is made; 0 for no limit. */
    size_t max_size;
};

/* zks__acls_init: without limits. */
bool zks__acls_init(struct zks__acls *acls, const struct zks__mem *mem);
void zks__acls_close(struct zks__acls *acls);

/* zks__acl_make: the list that a znode gets for what was asked for, with entries of the scheme "auth"
 * replaced by the connection's own identities.  ZKS__Z_INVALIDACL for a list that is empty or has an
 * entry of an unknown kind, ZKS__Z_QUOTAEXCEEDED for one that is too long, as it was asked for or as it
 * has become, ZKS__Z_SYSTEMERROR where there is no memory.  zks__acl_drop ends the use of it. */
int zks__acl_make(struct zks__acls *acls, const struct zks__ace *asked, size_t n,
                  const struct zks__ids *ids, struct zks__acl **acl);

/* zks__acl_restore: a list that a znode had, as it was and however long; NULL where there is no memory. */
struct zks__acl *zks__acl_restore(struct zks__acls *acls, const struct zks__ace *aces, size_t n);

void zks__acl_drop(struct zks__acls *acls, struct zks__acl *acl);

/* zks__acl_size: what a list takes in a file or an answer; 0 for NULL. */
size_t zks__acl_size(const struct zks__acl *acl);

/* zks__acl_allows: whether any of the permissions is given to any of the identities.  NULL is open to
 * everybody. */
bool zks__acl_allows(const struct zks__acl *acl, int32_t perms, const struct zks__ids *ids);

#endif
