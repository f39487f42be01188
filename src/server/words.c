/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's four-letter words: a client that begins with one gets a text for people and programs, and
 * nothing more. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opcode.h"
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

/* Requests whose answers have not been sent. */
static size_t outstanding(const struct zks__peers *peers)
{
    size_t n = 0;
    for (const struct zks__peer *p = peers->first; p != NULL; p = p->next) {
        n += p->out.replies;
    }
    return n;
}

static void figures(struct zks__peer *p)
{
    const struct zks__figures *f = &p->peers->figures;
    struct zks__tree_counts counts;
    char average[ZKS__AVERAGE_SIZE];
    zks__tree_count(p->peers->service->tree, &counts);
    zks__figures_average(f, average);
    say(p, "Latency min/avg/max: %" PRIu64 "/%s/%" PRIu64 "\n", f->min_ms, average, f->max_ms);
    say(p, "Received: %" PRIu64 "\nSent: %" PRIu64 "\n", f->received, f->sent);
    say(p, "Connections: %zu\nOutstanding: %zu\n", p->peers->n, outstanding(p->peers));
    say(p, "Zxid: 0x%" PRIx64 "\nMode: standalone\n", zks__tree_zxid(p->peers->service->tree));
    say(p, "Node count: %zu\n", counts.nodes);
}

static void srvr(struct zks__peer *p)
{
    say(p, "Zookeeper version: " VERSION ", a local server for one machine\n");
    figures(p);
}

/* What ZooKeeper calls a request. */
static const char *name_of(int32_t opcode)
{
    static const struct {
        int32_t opcode;
        const char *name;
    } names[] = {
        {ZKS__PING, "PING"},         {ZKS__CREATE, "CREA"},
        {ZKS__CREATE2, "CREA"},      {ZKS__CREATE_TTL, "CREA"},
        {ZKS__MULTI, "MULT"},        {ZKS__CREATE_CONTAINER, "CREA"},
        {ZKS__DELETE, "DELE"},       {ZKS__EXISTS, "EXIS"},
        {ZKS__GET_DATA, "GETD"},     {ZKS__SET_DATA, "SETD"},
        {ZKS__GET_ACL, "GETA"},      {ZKS__SET_ACL, "SETA"},
        {ZKS__GET_CHILDREN, "GETC"}, {ZKS__GET_CHILDREN2, "GETC"},
        {ZKS__SYNC, "SYNC"},         {ZKS__CHECK, "CHEC"},
        {ZKS__RECONFIG, "RECO"},     {ZKS__CHECK_WATCHES, "CHKW"},
        {ZKS__MULTI_READ, "MLTR"},   {ZKS__REMOVE_WATCHES, "REMW"},
        {ZKS__SET_WATCHES, "SETW"},  {ZKS__SET_WATCHES2, "STW2"},
        {ZKS__ADD_WATCH, "ADDW"},    {ZKS__GET_EPHEMERALS, "GETE"},
        {ZKS__WHO_AM_I, "HOMI"},     {ZKS__GET_ALL_CHILDREN_NUMBER, "GETACN"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].opcode == opcode) {
            return names[i].name;
        }
    }
    return "SESS";
}

/* Up to what all are told of a connection; as ZooKeeper has it, 1 stands for one that is read from. */
static void connection(struct zks__peer *p, const struct zks__peer *other)
{
    say(p, " /%s[%d](queued=%zu,recved=%" PRIu64 ",sent=%" PRIu64, other->address,
        other->session.id != 0, other->out.replies, other->figures.received, other->figures.sent);
}

static void stat(struct zks__peer *p)
{
    say(p, "Zookeeper version: " VERSION ", a local server for one machine\nClients:\n");
    for (const struct zks__peer *other = p->peers->first; other != NULL; other = other->next) {
        connection(p, other);
        say(p, ")\n");
    }
    say(p, "\n");
    figures(p);
}

static void session_of(struct zks__peer *p, const struct zks__peer *other)
{
    const struct zks__figures *f = &other->figures;
    uint64_t average = f->answered > 0 ? f->total_ms / f->answered : 0;
    say(p, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%" PRIu32, other->session.id,
        name_of(other->last_opcode), other->began_ms, other->session.timeout_ms);
    if (other->last_xid >= 0) {
        say(p, ",lcxid=0x%" PRIx32, (uint32_t)other->last_xid);
    }
    say(p, ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64, other->last_zxid, other->answered_ms);
    say(p, ",llat=%" PRIu64 ",minlat=%" PRIu64 ",avglat=%" PRIu64 ",maxlat=%" PRIu64, f->last_ms,
        f->min_ms, average, f->max_ms);
}

static void cons(struct zks__peer *p)
{
    for (const struct zks__peer *other = p->peers->first; other != NULL; other = other->next) {
        connection(p, other);
        if (other->session.id != 0) {
            session_of(p, other);
        }
        say(p, ")\n");
    }
    say(p, "\n");
}

static void mntr(struct zks__peer *p)
{
    const struct zks__peers *peers = p->peers;
    const struct zks__figures *f = &peers->figures;
    struct zks__tree_counts counts;
    char average[ZKS__AVERAGE_SIZE];
    uint64_t open;
    uint64_t most;
    zks__tree_count(peers->service->tree, &counts);
    zks__figures_average(f, average);
    zks__figures_descriptors(&open, &most);
    say(p, "zk_version\t" VERSION "\nzk_server_state\tstandalone\n");
    say(p, "zk_uptime\t%" PRIu64 "\n", zks__service_clock_ms() - peers->began_ms);
    say(p, "zk_avg_latency\t%s\nzk_max_latency\t%" PRIu64 "\nzk_min_latency\t%" PRIu64 "\n",
        average, f->max_ms, f->min_ms);
    say(p, "zk_packets_received\t%" PRIu64 "\nzk_packets_sent\t%" PRIu64 "\n", f->received,
        f->sent);
    say(p, "zk_num_alive_connections\t%zu\nzk_connection_rejected\t%" PRIu64 "\n", peers->n,
        peers->rejected);
    say(p, "zk_outstanding_requests\t%zu\n", outstanding(peers));
    say(p, "zk_znode_count\t%zu\nzk_watch_count\t%zu\n", counts.nodes, counts.watches);
    say(p, "zk_ephemerals_count\t%zu\nzk_approximate_data_size\t%zu\n", counts.ephemerals,
        counts.bytes);
    say(p, "zk_global_sessions\t%zu\nzk_local_sessions\t0\n", counts.sessions);
    say(p, "zk_open_file_descriptor_count\t%" PRIu64 "\n", open);
    say(p, "zk_max_file_descriptor_count\t%" PRIu64 "\n", most);
    say(p, "zk_fsync_count\t%" PRIu64 "\n", peers->service->syncs);
    say(p, "zksync_heap_bytes\t%zu\n", zks__heap_held(&peers->service->heap));
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

/* As with ZooKeeper, of the znodes alone. */
static void wchs(struct zks__peer *p)
{
    struct zks__watch_counts counts;
    zks__watch_count(zks__tree_watches(p->peers->service->tree), ZKS__WATCHED_NODE, &counts);
    say(p, "%zu connections watching %zu paths\nTotal watches:%zu\n", counts.watchers, counts.paths,
        counts.watches);
}

static void envi(struct zks__peer *p)
{
    say(p, "Environment:\nzookeeper.version=" VERSION ", a local server for one machine\n");
}

/* ---- dump ---- */

/* What ends, and when. */
struct ending {
    uint64_t at_ms; /* By the server's own time. */
    int64_t session;
    const struct zks__peer *peer; /* NULL for a session. */
};

static int by_time(const void *a, const void *b)
{
    const struct ending *one = a;
    const struct ending *other = b;
    return one->at_ms != other->at_ms       ? (one->at_ms > other->at_ms ? 1 : -1)
           : one->session != other->session ? (one->session > other->session ? 1 : -1)
                                            : 0;
}

/* As Java writes a date, in English whatever the locale is. */
static void say_date(struct zks__peer *p, uint64_t at_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t now = p->peers->service->now_ms;
    time_t when = (time_t)((zks__service_wall_ms() + (int64_t)(at_ms - now)) / 1000);
    struct tm t;
    if (localtime_r(&when, &t) != NULL) {
        say(p, "%.3s %.3s %02d %02d:%02d:%02d %s %d", days + (ptrdiff_t)3 * t.tm_wday,
            months + (ptrdiff_t)3 * t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_zone,
            t.tm_year + 1900);
    }
}

/* Those that end at the same time are told of together. */
static void say_endings(struct zks__peer *p, const char *what, struct ending *endings, size_t n)
{
    size_t times = 0;
    qsort(endings, n, sizeof *endings, by_time);
    for (size_t i = 0; i < n; i++) {
        times += i == 0 || endings[i].at_ms != endings[i - 1].at_ms;
    }
    say(p, "%s Sets (%zu)/(%zu):\n", what, times, n);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && endings[next].at_ms == endings[i].at_ms;) {
            next++;
        }
        say(p, "%zu expire at ", next - i);
        say_date(p, endings[i].at_ms);
        say(p, ":\n");
        for (size_t k = i; k < next; k++) {
            if (endings[k].peer == NULL) {
                say(p, "\t0x%" PRIx64 "\n", endings[k].session);
            } else {
                say(p, "\tip: /%s sessionId: 0x%" PRIx64 "\n", endings[k].peer->address,
                    endings[k].session);
            }
        }
    }
}

static size_t list_sessions(const struct zks__service *s, struct ending *endings)
{
    size_t n = 0;
    for (const struct zks__session *at = zks__tree_next_session(s->tree, NULL); at != NULL;
         at = zks__tree_next_session(s->tree, at)) {
        endings[n++] = (struct ending){zks__sessions_until(&s->sessions, at->id), at->id, NULL};
    }
    return n;
}

static size_t list_connections(const struct zks__peers *peers, struct ending *endings)
{
    size_t n = 0;
    for (const struct zks__peer *p = peers->first; p != NULL; p = p->next) {
        uint64_t until = zks__sessions_until(&peers->service->sessions, p->session.id);
        endings[n++] =
            (struct ending){until != 0 ? until : p->since_ms + ZKS__PATIENCE_MS, p->session.id, p};
    }
    return n;
}

/* A path is shown only to a client that may list the parent: what an access control list guards from reads is
 * guarded from words too. */
static bool may_hear(const struct zks__peer *p, const char *path)
{
    const struct zks__ids ids = {p->identity.ids, p->identity.n};
    const struct zks__acl *acl = zks__tree_parent_acl(p->peers->service->tree, path);
    return zks__acl_allows(acl, ZKS__PERM_READ, &ids);
}

static void say_ephemerals(struct zks__peer *p)
{
    const struct zks__tree *tree = p->peers->service->tree;
    const struct zks__session *s = NULL;
    size_t n = 0;
    while ((s = zks__tree_next_session(tree, s)) != NULL) {
        n += zks__tree_ephemerals(tree, s->id, "", NULL) != NULL;
    }
    say(p, "Sessions with Ephemerals (%zu):\n", n);
    while ((s = zks__tree_next_session(tree, s)) != NULL) {
        const char *path = zks__tree_ephemerals(tree, s->id, "", NULL);
        if (path != NULL && !zks__peer_overfull(p)) {
            say(p, "0x%" PRIx64 ":\n", s->id);
        }
        for (; path != NULL && !zks__peer_overfull(p);
             path = zks__tree_ephemerals(tree, s->id, "", path)) {
            if (may_hear(p, path)) {
                zks__put_bytes(&p->out.open, "\t", 1);
                zks__put_bytes(&p->out.open, path, strlen(path));
                zks__put_bytes(&p->out.open, "\n", 1);
            }
        }
    }
}

static void dump(struct zks__peer *p)
{
    struct zks__tree_counts counts;
    zks__tree_count(p->peers->service->tree, &counts);
    size_t most = counts.sessions > p->peers->n ? counts.sessions : p->peers->n;
    struct ending *endings = zks__scratch(p->peers, most * sizeof *endings);
    if (endings == NULL) {
        return;
    }
    say(p, "SessionTracker dump:\n");
    say_endings(p, "Session", endings, list_sessions(p->peers->service, endings));
    say(p, "ephemeral nodes dump:\n");
    say_ephemerals(p);
    say(p, "Connections dump:\n");
    say_endings(p, "Connections", endings, list_connections(p->peers, endings));
}

/* ---- All of them ---- */

/* Four lowercase letters: as the length of a frame they would be 1.5 GiB or more, with which no client begins. */
static bool is_word(const unsigned char word[4])
{
    bool is = true;
    for (size_t i = 0; i < 4; i++) {
        is = is && word[i] >= 'a' && word[i] <= 'z';
    }
    return is;
}

bool zks__words(struct zks__peer *p, const unsigned char word[4])
{
    static const struct {
        char word[5];
        bool private; /* It tells of others, or takes its time. */
        void (*answer)(struct zks__peer *p);
    } words[] = {{"ruok", false, ruok}, {"isro", false, isro}, {"envi", false, envi},
                 {"srvr", true, srvr},  {"stat", true, stat},  {"mntr", true, mntr},
                 {"conf", true, conf},  {"wchs", true, wchs},  {"cons", true, cons},
                 {"dump", true, dump}};
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
    if (!is_word(word)) {
        return false;
    }
    say(p, "%.4s is not executed because it is not in the whitelist.\n", (const char *)word);
    return true;
}
