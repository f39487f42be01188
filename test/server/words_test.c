/* SPDX-License-Identifier: Apache-2.0 */
/* The four-letter words: what they tell, in which form, and what they keep from those who ask. */
#include <regex.h>

#include "serving.h"
#include "wire.h"
#include "word.h"

#define NUMBER "[0-9]+"
#define HEX "0x[0-9a-f]+"
#define ADDRESS "/127\\.0\\.0\\.1:" NUMBER
#define DATE "[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [^ ]+ 20[0-9]{2}"

/* Whether the whole answer is of this form. */
static void says(const struct serving *s, const char *word, const char *pattern)
{
    char *answer = word_ask(serving_address(s), word);
    char whole[2048];
    regex_t regex;
    (void)snprintf(whole, sizeof whole, "^%s$", pattern);
    assert_int_equal(regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, answer, 0, NULL, 0) != 0) {
        ens_fail("%s says \"%s\", which is not of the form \"%s\"", word, answer, pattern);
    }
    regfree(&regex);
    free(answer);
}

static struct wire *open_wire(const struct serving *s, struct wire_session *session)
{
    *session = (struct wire_session){.timeout_ms = 60000};
    struct wire *w = wire_open(serving_address(s), session);
    assert_non_null(w);
    return w;
}

static void succeeds(struct wire *w)
{
    struct wire_frame frame;
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.err, 0);
}

/* What only its owner may list where `mine`. */
static void create(struct wire *w, int32_t xid, const char *path, int32_t flags, bool mine)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, "", 0);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, mine ? "auth" : "world");
    wire_put_text(w, mine ? "" : "anyone");
    wire_put_int(w, flags);
    succeeds(w);
}

static void figures(void **state)
{
    struct serving s;
    struct wire_session session;
    (void)state;
    serving_open(&s, true);
    struct wire *w = open_wire(&s, &session);
    says(&s, "ruok", "imok");
    says(&s, "isro", "rw");
    says(&s, "srvr",
         "Zookeeper version: 3\\.9\\.5-zksync-[^\n]+\n"
         "Latency min/avg/max: " NUMBER "/" NUMBER "\\." NUMBER "/" NUMBER "\n"
         "Received: 1\nSent: 1\nConnections: 2\nOutstanding: 0\n"
         "Zxid: " HEX "\nMode: standalone\nNode count: 4\n");
    says(&s, "stat",
         "Zookeeper version: [^\n]+\nClients:\n"
         "( " ADDRESS "\\[[01]\\]\\(queued=0,recved=[01],sent=[01]\\)\n){2}"
         "\nLatency(.|\n)*Node count: 4\n");
    says(&s, "conf", "dataDir=[^\n]+\ntickTime=" NUMBER "\nminSessionTimeout=(.|\n)*serverId=0\n");
    says(&s, "envi", "Environment:\nzookeeper.version=3\\.9\\.5-zksync-[^\n]+\n");
    wire_drop(w);
    serving_close(&s);
}

/* One name and one value a line. */
static void for_monitoring(void **state)
{
    static const char *const lines[] = {
        "zk_version\t3\\.9\\.5-zksync-[^\n]+",
        "zk_server_state\tstandalone",
        "zk_uptime\t" NUMBER,
        "zk_avg_latency\t" NUMBER "\\." NUMBER,
        "zk_max_latency\t" NUMBER,
        "zk_min_latency\t" NUMBER,
        "zk_packets_received\t2",
        "zk_packets_sent\t2",
        "zk_num_alive_connections\t2",
        "zk_connection_rejected\t0",
        "zk_outstanding_requests\t0",
        "zk_znode_count\t5",
        "zk_watch_count\t0",
        "zk_ephemerals_count\t1",
        "zk_global_sessions\t1",
        "zk_open_file_descriptor_count\t[1-9][0-9]*",
        "zk_max_file_descriptor_count\t[1-9][0-9]*",
        "zksync_heap_bytes\t[1-9][0-9]*",
    };
    struct serving s;
    struct wire_session session;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    create(w, 1, "/e", 1, false);
    says(&s, "mntr", "(zk(sync)?_[a-z_]+\t[^\t\n]+\n)+");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern, "(.*\n)?%s\n(.|\n)*", lines[i]);
        says(&s, "mntr", pattern);
    }
    wire_drop(w);
    serving_close(&s);
}

/* Of two watches on a path the one on the children is not counted, as with ZooKeeper. */
static void watches(void **state)
{
    static const enum wire_opcode opcodes[] = {WIRE_EXISTS, WIRE_GET_CHILDREN, WIRE_EXISTS};
    static const char *const paths[] = {"/", "/", "/none"};
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    struct wire *w[2];
    (void)state;
    serving_open(&s, false);
    says(&s, "wchs", "0 connections watching 0 paths\nTotal watches:0\n");
    for (size_t k = 0; k < 2; k++) {
        w[k] = open_wire(&s, &session);
        for (size_t i = 0; i < 3 - k; i++) {
            wire_begin(w[k], 1, opcodes[i]);
            wire_put_text(w[k], paths[i]);
            wire_put_bool(w[k], true);
            wire_finish(w[k]);
            wire_send(w[k]);
            wire_next(w[k], &frame);
        }
    }
    says(&s, "wchs", "2 connections watching 2 paths\nTotal watches:3\n");
    wire_end(w[0]);
    says(&s, "wchs", "1 connections watching 1 paths\nTotal watches:1\n");
    wire_drop(w[1]);
    serving_close(&s);
}

static void connections(void **state)
{
    struct serving s;
    struct wire_session session;
    char pattern[1024];
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    create(w, 7, "/a", 0, false);
    (void)snprintf(pattern, sizeof pattern,
                   " " ADDRESS "\\[0\\]\\(queued=0,recved=0,sent=0\\)\n"
                   " " ADDRESS "\\[1\\]\\(queued=0,recved=2,sent=2,sid=0x%llx,lop=CREA,est=" NUMBER
                   ",to=%d,lcxid=0x7,lzxid=0x2,lresp=[1-9][0-9]*,llat=" NUMBER ",minlat=" NUMBER
                   ",avglat=" NUMBER ",maxlat=" NUMBER "\\)\n\n",
                   (unsigned long long)session.id, session.timeout_ms);
    says(&s, "cons", pattern);
    wire_drop(w);
    serving_close(&s);
}

/* What somebody may not list is not told by a word either. */
static void sessions_and_ephemerals(void **state)
{
    struct serving s;
    struct wire_session session;
    char pattern[1024];
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    wire_auth(w, "digest", "alice:secret");
    create(w, 1, "/mine", 0, true);
    create(w, 2, "/mine/hidden", 1, true);
    create(w, 3, "/shown", 1, true);
    (void)snprintf(pattern, sizeof pattern,
                   "SessionTracker dump:\nSession Sets \\(1\\)/\\(1\\):\n"
                   "1 expire at " DATE ":\n\t0x%llx\n"
                   "ephemeral nodes dump:\nSessions with Ephemerals \\(1\\):\n0x%llx:\n\t/shown\n"
                   "Connections dump:\nConnections Sets \\(2\\)/\\(2\\):\n"
                   "1 expire at " DATE ":\n\tip: " ADDRESS " sessionId: 0x0\n"
                   "1 expire at " DATE ":\n\tip: " ADDRESS " sessionId: 0x%llx\n",
                   (unsigned long long)session.id, (unsigned long long)session.id,
                   (unsigned long long)session.id);
    says(&s, "dump", pattern);
    wire_drop(w);
    serving_close(&s);
}

static void words_that_are_not_known(void **state)
{
    static const char *const words[] = {"xxxx", "zzzz", "aaaa", "wchc", "wchp", "crst"};
    struct serving s;
    (void)state;
    serving_open(&s, false);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern,
                       "%s is not executed because it is not in the whitelist\\.\n", words[i]);
        says(&s, words[i], pattern);
    }
    says(&s, "Ruok", "");
    serving_close(&s);
}

/* What they tell of others is for those who know the secret, which a word cannot show. */
static void words_and_a_secret(void **state)
{
    static const char *const told[] = {"ruok", "isro", "envi"};
    static const char *const kept[] = {"srvr", "stat", "mntr", "conf", "wchs", "cons", "dump"};
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.secret = "open sesame";
    serving_open_with(&s, &options);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        says(&s, told[i], i == 0 ? "imok" : i == 1 ? "rw" : "Environment:\n.*\n");
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        char pattern[64];
        (void)snprintf(pattern, sizeof pattern, "%s is not told where a secret is needed\n",
                       kept[i]);
        says(&s, kept[i], pattern);
    }
    serving_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(figures),
        serving_test(for_monitoring),
        serving_test(watches),
        serving_test(connections),
        serving_test(sessions_and_ephemerals),
        serving_test(words_that_are_not_known),
        serving_test(words_and_a_secret),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
