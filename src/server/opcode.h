/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of ZooKeeper's requests, and of the errors that the tree itself never has. */
#ifndef ZKS_SERVER_OPCODE_H
#define ZKS_SERVER_OPCODE_H

enum zks__opcode {
    ZKS__CLOSE_SESSION = -11,
    ZKS__ERROR = -1, /* In the results of a multi, and at its end. */
    ZKS__CREATE = 1,
    ZKS__DELETE = 2,
    ZKS__EXISTS = 3,
    ZKS__GET_DATA = 4,
    ZKS__SET_DATA = 5,
    ZKS__GET_ACL = 6,
    ZKS__SET_ACL = 7,
    ZKS__GET_CHILDREN = 8,
    ZKS__SYNC = 9,
    ZKS__PING = 11,
    ZKS__GET_CHILDREN2 = 12,
    ZKS__CHECK = 13,
    ZKS__MULTI = 14,
    ZKS__CREATE2 = 15,
    ZKS__RECONFIG = 16,
    ZKS__CHECK_WATCHES = 17,
    ZKS__REMOVE_WATCHES = 18,
    ZKS__CREATE_CONTAINER = 19,
    ZKS__DELETE_CONTAINER = 20,
    ZKS__CREATE_TTL = 21,
    ZKS__MULTI_READ = 22,
    ZKS__AUTH = 100,
    ZKS__SET_WATCHES = 101,
    ZKS__GET_EPHEMERALS = 103,
    ZKS__GET_ALL_CHILDREN_NUMBER = 104,
    ZKS__SET_WATCHES2 = 105,
    ZKS__ADD_WATCH = 106,
    ZKS__WHO_AM_I = 107
};

enum { ZKS__XID_EVENT = -1, ZKS__XID_PING = -2 };

enum {
    ZKS__Z_MARSHALLINGERROR = -5, /* The request could not be read. */
    ZKS__Z_UNIMPLEMENTED = -6,
    ZKS__Z_AUTHFAILED = -115,
    ZKS__Z_RECONFIGDISABLED = -123
};

#endif
