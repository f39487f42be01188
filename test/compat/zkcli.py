#!/usr/bin/env python3
"""ZooKeeper's own command-line client against the server at ZKSYNC_DIRECT, told as TAP.

  zkcli.py CLASSPATH

It is given all commands at once; what each is to answer is looked for behind the answer to the one before.
"""

import os
import re
import subprocess
import sys

STAT = r"cZxid = 0x\w+\nctime = .*\n.*\n.*\n.*\n"

STEPS = [
    ("create", "create /c data", r"Created /c\n"),
    ("ls", "ls /", r"\[c, zookeeper\]"),
    ("ls -s", "ls -s /c", r"\[\]\s*" + STAT),
    ("ls -R", "ls -R /zookeeper", r"/zookeeper\n/zookeeper/config\n/zookeeper/quota"),
    ("stat", "stat /c", STAT + r".*\n.*\n.*\nephemeralOwner = 0x0\ndataLength = 4\nnumChildren = 0"),
    ("get -s", "get -s /c", r"data\n" + STAT),
    ("set", "set -s /c more", STAT + r".*\ndataVersion = 1"),
    ("set of another version", "set -v 7 /c no", r"version No is not valid : /c"),
    ("create -s", "create -s /c/s", r"Created /c/s0000000000"),
    ("create -e", "create -e /c/e x", r"Created /c/e\n"),
    ("create -s -e", "create -s -e /c/se", r"Created /c/se0000000002"),
    ("create -c", "create -c /c/c", r"Created /c/c\n"),
    ("create -t", "create -t 60000 /c/t x", r"Created /c/t\n"),
    ("create of what is there", "create /c", r"Node already exists: /c"),
    ("create without a parent", "create /no/parent", r"Node does not exist: /no/parent"),
    ("create below an ephemeral", "create /c/e/child", r"Ephemerals cannot have children: /c/e/child"),
    ("getEphemerals", "getEphemerals /c", r"\[(/c/e, /c/se0000000002|/c/se0000000002, /c/e)\]"),
    ("getAllChildrenNumber", "getAllChildrenNumber /c", r"\n5\n"),
    ("addauth, whoami", "addauth digest user:secret\nwhoami",
     r"Auth scheme: User\nip: 127.0.0.1\ndigest: user\n"),
    ("create with an ACL", "create /c/acl x auth::cdrwa", r"Created /c/acl"),
    ("getAcl", "getAcl /c/acl", r"'digest,'user:5w9W4eL3797Y4Wq8AcKUPPk8ha4=\n: cdrwa"),
    ("setAcl", "setAcl /c/acl world:anyone:r\ngetAcl -s /c/acl", r"'world,'anyone\n: r\n" + STAT),
    ("writing what is read-only", "set /c/acl y", r"(NoAuth|Insufficient permission).*/c/acl"),
    ("listquota of none", "listquota /c", r"quota for /c does not exist"),
    ("setquota", "setquota -n 100 /c\nsetquota -b 1000 /c\nlistquota /c",
     r"Output quota for /c count=100,bytes=1000"),
    ("a quota is counted", "", r"Output stat for /c count=7,bytes=\d+"),
    ("delquota", "delquota -n /c\ndelquota -b /c\ndelquota /c\nlistquota /c", r"quota for /c does not exist"),
    ("addWatch", "addWatch -m PERSISTENT /c\nset /c again\ncreate /c/w", r"Created /c/w"),
    ("addWatch, recursive", "create /r\naddWatch -m PERSISTENT_RECURSIVE /r\ncreate /r/a\nset /r/a 1",
     r"Created /r/a"),
    ("get -w", "get -w /c/w\nset /c/w 2", r"null\n"),
    ("removewatches of none", "removewatches /c/s0000000000", r"No such watcher for /c/s0000000000"),
    ("removewatches", "removewatches /r", r""),
    ("sync", "sync /c", r"Sync is OK"),
    ("delete of what has children", "delete /c", r"Node not empty: /c"),
    ("delete of another version", "delete -v 9 /c/w", r"version No is not valid : /c/w"),
    ("deleteall", "deleteall /c\ndeleteall /r\nls /", r"\n\[zookeeper\]"),
    ("reconfig", "reconfig -remove 1", r"Reconfig is disabled"),
]

# What watches are to bring, in this order for each path.
EVENTS = [
    ("events of a persistent watch", "/c", ["NodeDataChanged", "NodeChildrenChanged"]),
    ("events of a recursive watch", "/r/a", ["NodeCreated", "NodeDataChanged"]),
    ("the event of get -w", "/c/w", ["NodeDataChanged"]),
    ("the event of a watch removed", "/r", ["PersistentWatchRemoved"]),
]


def main():
    words = "".join(command + "\n" for _, command, _ in STEPS if command) + "quit\n"
    ended = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8", "-cp", sys.argv[1],
         "org.apache.zookeeper.ZooKeeperMain", "-server", os.environ["ZKSYNC_DIRECT"]],
        input=words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    results, at = [], 0
    for name, _, expected in STEPS:
        found = re.compile(expected).search(ended.stdout, at)
        at = found.end() if found else at
        results.append((name, found))
    for name, path, expected in EVENTS:
        found = re.findall(r"type:(\w+) path:" + re.escape(path) + r"\n", ended.stdout)
        results.append((name, found[:len(expected)] == expected))
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not all(good for _, good in results):
        print("".join(f"# {line}\n" for line in ended.stdout.splitlines()), end="")
        sys.exit(1)


if __name__ == "__main__":
    main()
