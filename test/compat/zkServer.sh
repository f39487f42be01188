#!/bin/sh
# In the place of ZooKeeper's own script of this name, for go-zk's tests: zkServer.sh start-foreground CONFIG.
# Becomes one server on 127.0.0.1: zksync's own where ZKSYNC_COMPAT_PROGRAM names it, otherwise ZooKeeper.
# ZKSYNC_COMPAT_CLASSES is the class path of ZooKeeper's, as `tools/ensemble classes` prints it.
# ZKSYNC_COMPAT_REAP_MS is the time between two looks for containers and for what has outlived its time.
set -eu
config=$2
reap=${ZKSYNC_COMPAT_REAP_MS:-60000}
value() { sed -n "s/^$1=//p" "$config"; }
if [ -n "${ZKSYNC_COMPAT_PROGRAM:-}" ]; then
    exec "$ZKSYNC_COMPAT_PROGRAM" serve --listen "127.0.0.1:$(value clientPort)" --no-secret \
        --data "$(value dataDir)/zksync" --tick "$(value tickTime)ms" --reap "${reap}ms"
fi
echo clientPortAddress=127.0.0.1 >>"$config"
# shellcheck disable=SC2086 # These are several words.
exec java -Xmx192m -XX:TieredStopAtLevel=1 -XX:-UsePerfData ${SERVER_JVMFLAGS:-} \
    -Dzookeeper.extendedTypesEnabled=true "-Dznode.container.checkIntervalMs=$reap" \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dzookeeper.jmx.log4j.disable=true \
    -cp "$ZKSYNC_COMPAT_CLASSES" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$config"
