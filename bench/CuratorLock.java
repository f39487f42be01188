/* SPDX-License-Identifier: Apache-2.0 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.retry.RetryOneTime;

/**
 * Curator's read-write lock, as a worker of bench/run (see bench.c): "lock N" acquires and releases
 * the write lock N times.
 */
public final class CuratorLock {
    private CuratorLock() {
    }

    public static void main(String[] arguments) throws Exception {
        String servers = System.getenv("ZKSYNC_SERVERS");
        try (CuratorFramework client =
                CuratorFrameworkFactory.newClient(servers, 40000, 60000, new RetryOneTime(1000))) {
            client.start();
            client.blockUntilConnected();
            InterProcessMutex lock =
                new InterProcessReadWriteLock(client, "/zksync-bench/curator").writeLock();
            BufferedReader commands =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                int count = Integer.parseInt(line.split(" ")[1]);
                long begin = System.nanoTime();
                for (int i = 0; i < count; i++) {
                    lock.acquire();
                    lock.release();
                }
                System.out.println(System.nanoTime() - begin);
            }
        }
    }
}
