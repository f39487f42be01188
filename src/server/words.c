/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's four-letter words: a client that begins with one gets a text for people and programs, and
 * nothing more. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"
#include "zksync/zksync.h"

/* The protocol and what it means are those of 3.9; the rest tells that this is no ZooKeeper. */
#define VERSION "3.9.5-zksync-" ZKS_VERSION

enum { LINE_SIZE = 256 };

static void say(struct zks__peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct zks__peer *p, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    zks__put_bytes(&p->out.open, line, strlen(line));
}

static void ruok(struct zks__peer *p)
{
    say(p, "imok");
}

static void isro(struct zks__peer *p)
{
    say(p, "rw");
}

static void figures(struct zks__peer *p)
{
    struct zks__tree_counts counts;
    zks__tree_count(p->peers->service->tree, &counts);
    say(p, "Latency min/avg/max: 0/0.0/0\n");
    say(p, "Received: %" PRIu64 "\nSent: %" PRIu64 "\n", p->peers->requests, p->peers->requests);
    say(p, "Connections: %zu\nOutstanding: 0\n", p->peers->n);
    say(p, "Zxid: 0x%" PRIx64 "\nMode: standalone\n", zks__tree_zxid(p->peers->service->tree));
    say(p, "Node count: %zu\n", counts.nodes);
}

static void srvr(struct zks__peer *p)
{
    say(p, "Zookeeper version: " VERSION ", a local server for one machine\n");
    figures(p);
}

static void stat(struct zks__peer *p)
{
    say(p, "Zookeeper version: " VERSION ", a local server for one machine\nClients:\n");
    for (const struct zks__peer *other = p->peers->first; other != NULL; other = other->next) {
        say(p, " /%s[%d](queued=0,recved=%" PRIu64 ",sent=%" PRIu64 ")\n", other->address,
            other->session.id != 0, other->requests, other->requests);
    }
    say(p, "\n");
    figures(p);
}

static void mntr(struct zks__peer *p)
{
    struct zks__tree_counts counts;
    zks__tree_count(p->peers->service->tree, &counts);
    say(p, "zk_version\t" VERSION "\nzk_server_state\tstandalone\n");
    say(p, "zk_num_alive_connections\t%zu\nzk_outstanding_requests\t0\n", p->peers->n);
    say(p, "zk_packets_received\t%" PRIu64 "\nzk_packets_sent\t%" PRIu64 "\n", p->peers->requests,
        p->peers->requests);
    say(p, "zk_znode_count\t%zu\nzk_watch_count\t%zu\n", counts.nodes, counts.watches);
    say(p, "zk_ephemerals_count\t%zu\nzk_global_sessions\t%zu\n", counts.ephemerals,
        counts.sessions);
    say(p, "zk_approximate_data_size\t%zu\nzk_fsync_count\t%" PRIu64 "\n", counts.bytes,
        p->peers->service->syncs);
    say(p, "zksync_heap_bytes\t%zu\n", zks__heap_held(&p->peers->service->heap));
}

static void conf(struct zks__peer *p)
{
    const struct zks__service_options *o = &p->peers->service->options;
    say(p, "dataDir=%.200s\n", o->folder != NULL ? o->folder : "");
    say(p, "tickTime=%" PRIu32 "\n", o->tick_ms);
    say(p, "minSessionTimeout=%" PRIu32 "\nmaxSessionTimeout=%" PRIu32 "\n",
        p->peers->service->sessions.min_ms, p->peers->service->sessions.max_ms);
    say(p, "serverId=0\n");
}

static void envi(struct zks__peer *p)
{
    say(p, "Environment:\nzookeeper.version=" VERSION ", a local server for one machine\n");
}

bool zks__words(struct zks__peer *p, const unsigned char word[4])
{
    static const struct {
        char word[5];
        bool private; /* It tells of others, or takes its time. */
        void (*answer)(struct zks__peer *p);
    } words[] = {{"ruok", false, ruok}, {"isro", false, isro}, {"envi", false, envi},
                 {"srvr", true, srvr},  {"stat", true, stat},  {"mntr", true, mntr},
                 {"conf", true, conf}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (memcmp(word, words[i].word, 4) == 0) {
            if (words[i].private && !p->peers->all_words) {
                say(p, "%s is not told where a secret is needed\n", words[i].word);
            } else {
                words[i].answer(p);
            }
            return true;
        }
    }
    return false;
}
