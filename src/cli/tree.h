/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that a command has started, whatever process groups and sessions it is in by now.  Who
 * calls this is a subreaper, so no descendant can get away from it by the death of its parent: as long as
 * there is one, waitpid() has something to wait for.  What /proc shows is no more than a moment's view, so
 * it tells whom to signal, never that nobody is left.
 *
 * A local server is spared whatever it descends from: others use it too, and a command may have started it by
 * using zksync itself.  It has taken its process group and session for itself alone. */
#ifndef ZKS_CLI_TREE_H
#define ZKS_CLI_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a local server in the background calls itself, by which it is known. */
#define CLI_LOCAL_NAME "zksync-local"

/* Children that we had before: they and what is below them are nothing of the command's. */
struct cli_tree_others {
    pid_t *pids;
    size_t n;
};

/* cli_tree_is_visible: whether /proc shows the processes of this PID namespace.  If it is not mounted, or is that of
 * another namespace, whose numbers are those of other processes, no descendants are found or signalled. */
bool cli_tree_is_visible(void);

/* cli_tree_note: notes the children that there are now.  cli_tree_forget frees that.
 * cli_tree_note_again: the same without `ours`, the process whose children are the command's: what it has not left
 * behind is of others.  Nothing changes if it has ended.
 * cli_tree_drop: forgets one that was reaped. */
void cli_tree_note(struct cli_tree_others *others);
void cli_tree_note_again(struct cli_tree_others *others, pid_t ours);
void cli_tree_drop(struct cli_tree_others *others, pid_t pid);
void cli_tree_forget(struct cli_tree_others *others);

/* cli_tree_signal: sends a signal to the process group `group` (0 for none) and to all descendants of the
 * calling process that are not in it; to each once.  False where there is one that may not be signalled,
 * since it is another user's. */
bool cli_tree_signal(int sig, pid_t group, const struct cli_tree_others *others);

/* cli_tree_kill: sends SIGKILL to all of them, as cli_tree_signal.  What is started meanwhile may be missed,
 * so it is to be called again while there is anything left to wait for. */
bool cli_tree_kill(pid_t group, const struct cli_tree_others *others);

/* cli_tree_reap: reaps what has ended of our children but the others; true where none is left but what is
 * spared. */
bool cli_tree_reap(const struct cli_tree_others *others);

/* cli_tree_spared_only: whether there is a child, and each is one that is spared.  Nothing is reaped. */
bool cli_tree_spared_only(void);

#endif
