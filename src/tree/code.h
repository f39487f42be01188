/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's own error numbers, as they go over the wire. */
#ifndef ZKS_TREE_CODE_H
#define ZKS_TREE_CODE_H

enum zks__code {
    ZKS__Z_OK = 0,
    ZKS__Z_SYSTEMERROR = -1, /* There was no memory; nothing has changed. */
    ZKS__Z_RUNTIMEINCONSISTENCY = -2,
    ZKS__Z_BADARGUMENTS = -8,
    ZKS__Z_NONODE = -101,
    ZKS__Z_NOAUTH = -102,
    ZKS__Z_BADVERSION = -103,
    ZKS__Z_NOCHILDRENFOREPHEMERALS = -108,
    ZKS__Z_NODEEXISTS = -110,
    ZKS__Z_NOTEMPTY = -111,
    ZKS__Z_SESSIONEXPIRED = -112,
    ZKS__Z_INVALIDACL = -114,
    ZKS__Z_SESSIONMOVED = -118,
    ZKS__Z_NOWATCHER = -121,
    ZKS__Z_QUOTAEXCEEDED = -125 /* One of the tree's own limits; nothing has changed. */
};

#endif
