/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <stdio.h>
#include <string.h>

/* Each fits a screen of 24 lines and 80 columns; zksync(1) says the rest. */
static const struct {
    const char *command;
    const char *text;
} helps[] = {
    {"", "  zksync lock /jobs/nightly -- backup.sh         one at a time, on all hosts\n"
         "  zksync lock -s -w 2m /data -- report           share it, wait at most 2 min\n"
         "  zksync double-barrier -n 8 /mpi/run1 -- ./rank start and end together\n"
         "  zksync status /jobs/nightly                    who holds it, who waits\n"
         "\n"
         "usage: zksync [OPTION...] COMMAND ...\n"
         "  lock             run a command while a lock is held\n"
         "  hold, release    hold a lock without a command; end that\n"
         "  held             test whether this runs under a lock\n"
         "  barrier          set it, unset it, wait until it is unset\n"
         "  double-barrier   run a command on N hosts together\n"
         "  status, ls       who holds and who waits; the locks and barriers under a path\n"
         "  watch            changes as they happen\n"
         "  break            remove one that is stuck\n"
         "  ping, config     whether the servers answer; the settings and their origin\n"
         "  serve            the local server, or one of its own\n"
         "  completion       for bash, zsh or fish\n"
         "Options of all of them, also as variables (ZKSYNC_SERVERS, ZKSYNC_ROOT, ...) and\n"
         "in ~/.config/zksync.conf and /etc/zksync.conf (servers = HOST:PORT,...):\n"
         "  --servers HOST:PORT,...   or --local: locks on this host alone\n"
         "  --auth-file FILE          digest:user:pw    --root PATH   where paths begin\n"
         "  --connect-timeout TIME    15 s              -T TIME       session timeout, 20s\n"
         "See 'zksync help COMMAND' and zksync(1).\n"},
    {"lock", "  zksync lock /jobs/nightly -- backup.sh --full\n"
             "  zksync lock -n /jobs/nightly -c 'cd /srv && make' || echo busy\n"
             "  zksync lock -s -w 30 /data -- report      with others who share it\n"
             "\n"
             "usage: zksync lock [OPTION...] PATH [--] COMMAND [ARGUMENT...]\n"
             "  -s, -x            shared, or exclusive (the default)\n"
             "  -n                fail rather than wait for others\n"
             "  -w TIME           wait at most so long: 10, 1.5, 250ms, 2m\n"
             "  -E CODE           exit code where it is busy or the time is over (75)\n"
             "  -c STRING         run STRING by /bin/sh\n"
             "  -k TIME           between TERM and KILL when the lock is being lost\n"
             "  --on-loss=kill    or warn, or a signal: what happens to the command then\n"
             "  --reason TEXT     what zksync status shows\n"
             "  --wait-group      hold it until all of the command's process group has ended\n"
             "  --status-fd FD    write what happens there, a JSON object to a line\n"
             "The command has ZKSYNC_TOKEN, which grows with each holder: what it writes to\n"
             "can refuse an older one. Exit code: the command's, 128+N for signal N;\n"
             "64 usage, 69 no server answers, 75 busy, 76 lost, 77 no permission,\n"
             "126, 127 the command cannot be run. See zksync(1).\n"},
    {"hold", "  lock=$(zksync hold -b --for $$ /deploy) || exit    until the script ends\n"
             "  eval \"$lock\"                                       sets ZKSYNC_TOKEN etc.\n"
             "  zksync release                                     or until here\n"
             "  zksync hold /deploy                                   until Ctrl-C or Ctrl-D\n"
             "\n"
             "usage: zksync hold [OPTION...] PATH\n"
             "  -s, -x            shared, or exclusive (the default)\n"
             "  -n, -w TIME       fail rather than wait; wait at most so long\n"
             "  -b                go to the background once it is held, and print what a\n"
             "                    shell is to eval\n"
             "  --for PID         hold it no longer than that process lives, and end the\n"
             "                    process (TERM, then KILL) when the lock is being lost\n"
             "  -E, -k, --on-loss, --reason, --status-fd   as for zksync lock\n"
             "Without -b it is held until a signal, or the end of input where that is not\n"
             "/dev/null. Exit code: 0 released, 75 busy, 76 lost, others as zksync lock.\n"},
    {"release", "  zksync release                                     what hold -b has begun\n"
                "  zksync release 4711\n"
                "\n"
                "usage: zksync release [PID]\n"
                "Ends a hold of this user and waits until its lock is released: that of process\n"
                "PID, by default ZKSYNC_HOLD_PID. Exit code: 0 released; 1 it is no hold any\n"
                "more; 69 not confirmed by the servers: released when the session ends;\n"
                "76 lost before; 77 another user's.\n"},
    {"held", "  #!/bin/sh                                     a script that locks itself:\n"
             "  zksync held /jobs/x || exec zksync lock -n /jobs/x -- \"$0\" \"$@\"\n"
             "\n"
             "usage: zksync held [-s] PATH\n"
             "  -x                only an exclusive lock counts (the default)\n"
             "  -s                a shared lock counts as well\n"
             "Tests whether it runs under the lock: whether ZKSYNC_HELD names a holder that,\n"
             "as the servers say, still has it. Prints nothing; -v names the holder. Exit\n"
             "code: 0 yes, 1 no, 69 no server answers, others as zksync lock.\n"},
    {"barrier", "  zksync barrier set /deploy/gate           from now on processes wait\n"
                "  zksync barrier wait /deploy/gate -w 10m   until it is unset\n"
                "  zksync barrier unset /deploy/gate         all of them go on\n"
                "\n"
                "usage: zksync barrier set|unset|wait [OPTION...] PATH\n"
                "  -w TIME           try, or wait, at most so long\n"
                "  -n                do not wait\n"
                "  -E CODE           exit code where the time is over (75)\n"
                "A barrier stays set until it is unset, even if the process that set it ends.\n"
                "Exit code: 0; 1 set already, or not set; 75 timed out, -v says who has set it;\n"
                "others as zksync lock.\n"},
    {"double-barrier",
     "  zksync double-barrier -n 8 /mpi/run1 -- ./rank\n"
     "  zksync double-barrier -n 8 --id $HOSTNAME -w 5m /mpi/run1 -- ./rank\n"
     "\n"
     "usage: zksync double-barrier -n N [OPTION...] PATH [--] COMMAND [ARGUMENT...]\n"
     "  -n N              how many take part; all start, or none\n"
     "  --id ID           our id; waits while another has it; made up if not given\n"
     "  -w TIME           wait at most so long for all to be there\n"
     "  -c STRING         run STRING by /bin/sh\n"
     "  -E, -k, --on-loss, --reason, --wait-group, --status-fd   as for zksync lock\n"
     "When all N are there each runs its command; when all commands have ended, or\n"
     "their hosts have died, all return. Exit code: the command's; 65 the others say\n"
     "another N; 75 not all came in time, or N others are there; 76 our session ended;\n"
     "1 another still has the id; others as zksync lock.\n"},
    {"status", "  zksync status /jobs/nightly\n"
               "  zksync status --json /jobs/nightly | jq -r '.contenders[0].host'\n"
               "\n"
               "usage: zksync status [--json] PATH\n"
               "Who holds a lock, who waits in which order, since when, where, with which token;\n"
               "whether a barrier is set; who takes part in a double barrier.\n"
               "Exit code: 0 held, 1 free, others as zksync lock.\n"},
    {"ls", "  zksync ls /jobs\n"
           "  zksync ls -r --json /\n"
           "\n"
           "usage: zksync ls [-r] [--json] PATH\n"
           "  -r                all that is below as well\n"
           "The locks that somebody wants, the barriers that are set and the double barriers\n"
           "at a path and right below it, and folders in which there may be more.\n"},
    {"watch", "  zksync watch /jobs/nightly\n"
              "  zksync watch --json /jobs/nightly | jq -r 'select(.event==\"acquired\").host'\n"
              "\n"
              "usage: zksync watch [--json] PATH\n"
              "First how it is now, then a line for each change: waits, acquired, released,\n"
              "left, entered, set, unset, free. What comes and goes faster than the servers can\n"
              "be asked is not seen. It ends by a signal.\n"},
    {"break", "  zksync break /jobs/nightly                    shows the holder, asks, removes\n"
              "  zksync break --node _c_...-write-0000000007 --yes /jobs/nightly\n"
              "\n"
              "usage: zksync break [--node NODE | --all] [--yes] PATH\n"
              "  --node NODE       this one, as zksync status names it\n"
              "  --all             all who hold and who wait\n"
              "  --yes             do not ask; needed where there is no terminal\n"
              "The next one may get the lock before the one that is removed has noticed and\n"
              "ended its command: use it for one that is known to be stuck. A holder whose host\n"
              "is dead needs no help: its lock is free when its session ends.\n"},
    {"ping", "  zksync ping\n"
             "  zksync ping --servers zk1:2181,zk2:2181,zk3:2181 --json\n"
             "\n"
             "usage: zksync ping [--json]\n"
             "Which server answers, how long a read and a write take, and the session timeout\n"
             "that the servers grant. Exit code: 0, or 69 where none answers.\n"},
    {"serve", "  zksync serve --status                         is there one, and what has it\n"
              "  zksync serve --listen 127.0.0.1:2181 --data /srv/zk\n"
              "\n"
              "usage: zksync serve [OPTION...]\n"
              "  --listen ADDRESS  host:port; port 0 is any; needs --data or --memory\n"
              "  --allow-remote    where other machines reach that; needs one of the next two\n"
              "  --secret-file FILE, --no-secret   what clients must know; nothing\n"
              "  --data FOLDER, --memory   keep znodes there; keep them on no disk\n"
              "  --tick TIME       1s; --min-session-timeout TIME, --max-session-timeout TIME\n"
              "                    2 ticks and 2m: what sessions are granted\n"
              "  --reap TIME       1m: how often what may go by itself is looked for\n"
              "  --idle TIME       end after so long without a connection and a session\n"
              "  -b, --background  return once it serves\n"
              "  --status [--json] whether the local server runs; --stop ends it\n"
              "With --local, ZKSYNC_SERVERS=local or \"servers = local\" in a file all commands\n"
              "use the user's local server, which they start, and which ends after 10 min\n"
              "without use. Without --listen, --data and --memory this runs it in the\n"
              "foreground. It is one process on one machine, no ensemble. Exit code:\n"
              "0 ended as told; 1 none runs; 71 its disk failed; 75 one runs already.\n"},
    {"config", "  zksync config                 which servers would be used, and why\n"
               "  zksync --local config --json  the same with an option, as JSON\n"
               "\n"
               "usage: zksync config [--json]\n"
               "Shows each setting and where it comes from: an option, a variable of the\n"
               "environment, ~/.config/zksync.conf, /etc/zksync.conf or the default. The first\n"
               "that names a setting decides it. ZKSYNC_CONFIG=FILE stands in for both files.\n"
               "Exit code: 0; 78 where no servers are named or a setting is not valid.\n"},
    {"completion",
     "  . <(zksync completion bash)                   in ~/.bashrc\n"
     "  . <(zksync completion zsh)                    in ~/.zshrc, after compinit\n"
     "  zksync completion fish | source               in ~/.config/fish/config.fish\n"
     "\n"
     "usage: zksync completion bash|zsh|fish\n"
     "Prints what makes the shell complete commands, options and the paths of znodes.\n"
     "Not needed after 'make install' into /usr/local in zsh, in bash with the package\n"
     "bash-completion, and in fish where XDG_DATA_DIRS has /usr/local/share.\n"},
    {"help", "  zksync help lock\n"
             "\n"
             "usage: zksync help [COMMAND]\n"
             "The same as zksync COMMAND --help.\n"},
    {"version", "  zksync version\n"
                "\n"
                "usage: zksync version\n"
                "The same as zksync --version.\n"},
};

enum { HELPS = sizeof helps / sizeof helps[0] };

bool cli_help(const char *command)
{
    for (size_t i = 0; i < HELPS; i++) {
        if (strcmp(command, helps[i].command) == 0) {
            fputs(helps[i].text, stdout);
            return true;
        }
    }
    return false;
}

const char *cli_help_command(size_t i)
{
    return i < HELPS ? helps[i].command : NULL;
}
