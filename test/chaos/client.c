/* SPDX-License-Identifier: Apache-2.0 */
/* A participant of test/chaos: one client, and a thread for each role that uses it.
 *
 *   participant SERVERS JOURNAL NAME RATE SESSION_MS MEMBERS SEED ROLE...
 *
 * RATE is that of its clock, which whoever starts it has set by libfaketime.  At SIGTERM it ends what it does and frees
 * its handles, at the next one it closes its client. */
#include "journal.h"
#include "roles.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { ROLES_MAX = 8, FIRST_ROLE = 8 };

static void on_state(zks_client *client, enum zks_client_state state, void *arg)
{
    (void)client;
    (void)arg;
    journal(journal_now(), "-", 0, "state is=%s", zks_client_state_name(state));
}

static void on_log(enum zks_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static zks_client *open_client(char **words)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = words[1];
    options.session_timeout_ms = (uint32_t)strtoul(words[5], NULL, 10);
    options.connect_timeout_ms = 0;
    options.identity = words[3];
    options.listener = on_state;
    options.log = on_log;
    zks_client *client = NULL;
    int rc = zks_client_open(&options, &client);
    if (rc != 0) {
        fprintf(stderr, "participant: %s\n", zks_last_error());
        exit(2);
    }
    return client;
}

static void await_sigterm(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    int number = 0;
    sigwait(&signals, &number);
}

static size_t start(struct actor *actors, struct setting *setting, char **roles, uint64_t seed)
{
    size_t n = 0;
    for (; roles[n] != NULL && n < ROLES_MAX; n++) {
        struct actor *a = &actors[n];
        a->setting = setting;
        a->role = roles[n];
        a->random = (seed + n + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1U;
        void *(*loop)(void *) = role_loop(a->role);
        if (loop == NULL || pthread_create(&a->thread, NULL, loop, a) != 0) {
            fprintf(stderr, "participant: cannot play %s\n", a->role);
            exit(2);
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc <= FIRST_ROLE) {
        fputs("usage: participant SERVERS JOURNAL NAME RATE SESSION_MS MEMBERS SEED ROLE...\n",
              stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* For the threads to come, too. */
    journal_open(argv[2]);
    journal(journal_now(), "-", 0, "start name=%s rate=%s session=%s members=%s pid=%d", argv[3],
            argv[4], argv[5], argv[6], (int)getpid());

    static struct actor actors[ROLES_MAX];
    static struct setting setting;
    setting.client = open_client(argv);
    setting.name = argv[3];
    setting.members = (uint32_t)strtoul(argv[6], NULL, 10);
    size_t n = start(actors, &setting, argv + FIRST_ROLE, strtoull(argv[7], NULL, 10));
    await_sigterm();
    atomic_store(&setting.stopping, true);
    for (size_t i = 0; i < n; i++) {
        pthread_join(actors[i].thread, NULL);
    }
    journal(journal_now(), "-", 0, "idle");
    await_sigterm();
    zks_client_close(setting.client);
    journal(journal_now(), "-", 0, "end");
    return 0;
}
