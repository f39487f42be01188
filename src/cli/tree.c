/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "settings.h"

enum { SCAN_EVERY = 32 };

struct pids {
    pid_t *pid;
    size_t n;
    size_t room;
};

struct errand {
    int sig;
    pid_t group;
    const struct cli_tree_others *others;
    bool groups; /* Whole groups at once: a group cannot outrun that by forking. */
    bool allowed;
    pid_t self;
    struct pids found;
};

static void insert(struct pids *all, size_t at, pid_t pid)
{
    if (all->n == all->room) {
        size_t room = all->room * 2 + 64;
        pid_t *grown = realloc(all->pid, room * sizeof *grown);
        if (grown == NULL) {
            return; /* It is found again, as long as it lives. */
        }
        all->pid = grown;
        all->room = room;
    }
    memmove(all->pid + at + 1, all->pid + at, (all->n - at) * sizeof *all->pid);
    all->pid[at] = pid;
    all->n++;
}

/* Whether it is in the list, which is sorted, or at which place it would be. */
static bool find(const struct pids *all, pid_t pid, size_t *at)
{
    size_t low = 0;
    size_t high = all->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (all->pid[middle] < pid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *at = low;
    return low < all->n && all->pid[low] == pid;
}

/* Parent and state.  False where there is no such process.  Its name, in parentheses, may contain anything; and one whose first
 * thread has ended looks like a zombie, while others go on. */
static bool parent_of(const char *pid, pid_t *parent, char *state)
{
    char path[64];
    char text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    const char *behind = strrchr(text, ')');
    return behind != NULL && sscanf(behind + 1, " %c %d", state, parent) == 2;
}

bool cli_tree_is_visible(void)
{
    char ours[24];
    char shown[24];
    ssize_t len = readlink("/proc/self", shown, sizeof shown - 1);
    snprintf(ours, sizeof ours, "%ld", (long)getpid());
    return len > 0 && (size_t)len == strlen(ours) && memcmp(ours, shown, (size_t)len) == 0;
}

/* Calls `each` for all processes that there are, in the order of their numbers. */
static void for_all(void (*each)(pid_t pid, pid_t parent, void *arg), void *arg)
{
    DIR *dir = cli_tree_is_visible() ? opendir("/proc") : NULL;
    struct dirent *entry;
    pid_t parent;
    char state;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && parent_of(entry->d_name, &parent, &state)) {
            each((pid_t)atoi(entry->d_name), parent, arg);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static bool is_other(const struct cli_tree_others *others, pid_t pid)
{
    for (size_t i = 0; others != NULL && i < others->n; i++) {
        if (others->pids[i] == pid) {
            return true;
        }
    }
    return false;
}

static bool is_called(pid_t pid, const char *name)
{
    char path[64];
    char text[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    text[len > 0 ? len - 1 : 0] = '\0'; /* Without its newline. */
    return strcmp(text, name) == 0;
}

static bool is_our_program(pid_t pid)
{
    char path[64];
    char theirs[CLI_PATH_SIZE];
    char ours[CLI_PATH_SIZE];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t len = readlink(path, theirs, sizeof theirs);
    return len > 0 && readlink("/proc/self/exe", ours, sizeof ours) == len &&
           memcmp(theirs, ours, (size_t)len) == 0;
}

/* By what only such a process is: of our program, and called so.  Nothing of the server's own folder is
 * read, for that may be on a file system of the network, which is gone just when the servers are. */
static bool is_spared(pid_t pid)
{
    return is_called(pid, CLI_LOCAL_NAME) && is_our_program(pid);
}

static void send_to(struct errand *e, pid_t to)
{
    if (kill(to, e->sig) != 0 && errno == EPERM) {
        e->allowed = false;
    }
}

/* Signalled as soon as it is seen.  A session that is not ours was made by one of the command's, so all of
 * its groups are, and a group cannot outrun a signal by forking. */
static bool take(struct errand *e, pid_t pid)
{
    size_t at;
    if (find(&e->found, pid, &at) || is_spared(pid)) {
        return false;
    }
    insert(&e->found, at, pid);
    pid_t group = getpgid(pid);
    if (e->groups && group > 0 && (group == pid || getsid(pid) != getsid(0))) {
        send_to(e, -group);
    }
    if (group != e->group || e->groups) {
        send_to(e, pid);
    }
    return true;
}

/* The children of one thread: numbers with blanks between them.  False where the system does not show
 * them. */
static bool children_of_thread(struct pids *children, pid_t pid, const char *thread)
{
    char path[80];
    int child;
    snprintf(path, sizeof path, "/proc/%ld/task/%.20s/children", (long)pid, thread);
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%d", &child) == 1) {
        insert(children, children->n, (pid_t)child);
    }
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

/* The same of all its threads. */
static bool children_of(struct pids *children, pid_t pid)
{
    char path[40];
    struct dirent *entry;
    bool shown = false;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            shown |= children_of_thread(children, pid, entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return shown;
}

/* From parent to child: it takes as long as the command has processes, whatever else is on the machine. */
static bool walk(struct errand *e)
{
    struct pids ahead = {NULL, 0, 0};
    bool shown = false;
    insert(&ahead, 0, e->self);
    for (size_t i = 0; i < ahead.n; i++) {
        size_t known = ahead.n;
        size_t kept = known;
        shown |= children_of(&ahead, ahead.pid[i]);
        for (size_t k = known; k < ahead.n; k++) {
            pid_t pid = ahead.pid[k];
            if (!(ahead.pid[i] == e->self && is_other(e->others, pid)) && take(e, pid)) {
                ahead.pid[kept++] = pid;
            }
        }
        ahead.n = kept;
    }
    free(ahead.pid);
    return shown;
}

static void take_if_ours(pid_t pid, pid_t parent, void *arg)
{
    struct errand *e = arg;
    size_t at;
    if ((parent == e->self && !is_other(e->others, pid)) || find(&e->found, parent, &at)) {
        (void)take(e, pid);
    }
}

/* A child can have a lower number than its parent, so it is gone through until nobody new is found. */
static void scan(struct errand *e)
{
    size_t before;
    do {
        before = e->found.n;
        for_all(take_if_ours, e);
    } while (e->found.n > before);
}

/* A walk can miss somebody while parents die; a scan now and then is for those. */
static bool go_through(int sig, pid_t group, const struct cli_tree_others *others, bool groups)
{
    static unsigned walks;
    struct errand e = {sig, group, others, groups, true, getpid(), {NULL, 0, 0}};
    if (group > 0) {
        send_to(&e, -group);
    }
    if (!walk(&e) || (groups && ++walks % SCAN_EVERY == 0)) {
        scan(&e);
    }
    free(e.found.pid);
    return e.allowed;
}

bool cli_tree_signal(int sig, pid_t group, const struct cli_tree_others *others)
{
    return go_through(sig, group, others, false);
}

bool cli_tree_kill(pid_t group, const struct cli_tree_others *others)
{
    return go_through(SIGKILL, group, others, true);
}

static void take_child(pid_t pid, pid_t parent, void *arg)
{
    struct pids *children = arg;
    if (parent == getpid()) {
        insert(children, children->n, pid);
    }
}

void cli_tree_note(struct cli_tree_others *others)
{
    struct pids children = {NULL, 0, 0};
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD) {
        for_all(take_child,
                &children); /* Mostly there are none, and nothing is to be looked through. */
    }
    others->pids = children.pid;
    others->n = children.n;
}

void cli_tree_drop(struct cli_tree_others *others, pid_t pid)
{
    size_t kept = 0;
    for (size_t i = 0; i < others->n; i++) {
        if (others->pids[i] != pid) {
            others->pids[kept++] = others->pids[i];
        }
    }
    others->n = kept;
}

/* Its children become ours only when its first thread is at least a zombie, so this is asked after the look. */
static bool has_ended(pid_t pid)
{
    char text[24];
    pid_t parent;
    char state;
    snprintf(text, sizeof text, "%ld", (long)pid);
    return !parent_of(text, &parent, &state) || state == 'Z' || state == 'X';
}

void cli_tree_note_again(struct cli_tree_others *others, pid_t ours)
{
    struct cli_tree_others now;
    cli_tree_note(&now);
    if (has_ended(ours)) {
        cli_tree_forget(&now);
        return;
    }
    cli_tree_drop(&now, ours);
    cli_tree_forget(others);
    *others = now;
}

void cli_tree_forget(struct cli_tree_others *others)
{
    free(others->pids);
    others->pids = NULL;
    others->n = 0;
}

/* Quick, and not sure: children can be missed here. */
static bool has_spared(void)
{
    struct pids children = {NULL, 0, 0};
    bool found = false;
    (void)children_of(&children, getpid());
    for (size_t i = 0; i < children.n && !found; i++) {
        found = is_spared(children.pid[i]);
    }
    free(children.pid);
    return found;
}

bool cli_tree_reap(const struct cli_tree_others *others)
{
    struct pids children = {NULL, 0, 0};
    bool left = false;
    if (others == NULL || others->n == 0) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (pid < 0 || !has_spared()) {
            return pid < 0 && errno == ECHILD;
        }
    }
    for_all(take_child, &children);
    for (size_t i = 0; i < children.n; i++) {
        pid_t pid = children.pid[i];
        if (!is_other(others, pid)) {
            left |= waitpid(pid, NULL, WNOHANG) == 0 && !is_spared(pid);
        }
    }
    free(children.pid);
    return !left;
}

/* Here /proc can be believed: a child that is there when the look begins stays to be seen, were it only as a
 * zombie, for nobody reaps meanwhile; and where there is none, nobody is below. */
bool cli_tree_spared_only(void)
{
    struct pids children = {NULL, 0, 0};
    bool only = has_spared();
    if (only) {
        for_all(take_child, &children);
    }
    for (size_t i = 0; i < children.n && only; i++) {
        only = is_spared(children.pid[i]);
    }
    free(children.pid);
    return only;
}
