/* SPDX-License-Identifier: Apache-2.0 */
#include "attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CPUS_MAX = 8192, IOPRIO_PROCESS = 1, IOPRIO_CLASS_SHIFT = 13, TEXT_SIZE = 4096 };

/* There always is a limit of open files; only one below this is worth reporting. */
enum { NOFILE_USUAL = 1024 };

/* Those that can end the server, or keep it from serving. */
static const struct {
    enum __rlimit_resource resource;
    const char *name;
} limits[] = {{RLIMIT_AS, "rlimit_as"},
              {RLIMIT_CPU, "rlimit_cpu"},
              {RLIMIT_DATA, "rlimit_data"},
              {RLIMIT_FSIZE, "rlimit_fsize"},
              {RLIMIT_NOFILE, "rlimit_nofile"}};

static const char *const classes[] = {
    [SCHED_OTHER] = "other", [SCHED_FIFO] = "fifo", [SCHED_RR] = "rr",
    [SCHED_BATCH] = "batch", [SCHED_IDLE] = "idle", [6] = "deadline"};

static const char *const io_classes[] = {"none", "realtime", "best-effort", "idle"};

static void reset_affinity(void)
{
    cpu_set_t *all = CPU_ALLOC(CPUS_MAX);
    if (all != NULL) {
        memset(all, 0xff, CPU_ALLOC_SIZE(CPUS_MAX));
        (void)sched_setaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), all); /* Of those that there are. */
        CPU_FREE(all);
    }
}

void cli_attributes_reset(void)
{
    const struct sched_param none = {.sched_priority = 0};
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    (void)setpriority(PRIO_PROCESS, 0, 0);
    (void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, 0);
    reset_affinity();
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i].resource, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            (void)setrlimit(limits[i].resource, &limit);
        }
    }
}

/* ---- What is left ---- */

struct found {
    struct cli_attribute *list;
    size_t n;
};

static void add(struct found *f, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct found *f, const char *name, const char *format, ...)
{
    va_list arguments;
    if (f->n == CLI_ATTRIBUTES_MAX) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(f->list[f->n].value, CLI_ATTRIBUTE_SIZE, format, arguments);
    va_end(arguments);
    f->list[f->n++].name = name;
}

/* False where it cannot be read. */
static bool read_proc(pid_t pid, const char *file, char text[TEXT_SIZE])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, TEXT_SIZE - 1) : -1;
    text[len > 0 ? len : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
    return len > 0;
}

static void find_scheduling(struct found *f, pid_t pid)
{
    errno = 0;
    int nice_value = getpriority(PRIO_PROCESS, (id_t)pid);
    if (errno == 0 && nice_value != 0) {
        add(f, "nice", "%d", nice_value);
    }
    int class = sched_getscheduler(pid);
    if (class > 0) {
        bool named = (size_t) class < sizeof classes / sizeof classes[0] && classes[class] != NULL;
        add(f, "scheduling", "%s", named ? classes[class] : "unknown");
    }
    long io = syscall(SYS_ioprio_get, IOPRIO_PROCESS, pid);
    if (io > 0 && (io >> IOPRIO_CLASS_SHIFT) > 0 && (io >> IOPRIO_CLASS_SHIFT) <= 3) {
        add(f, "io_priority", "%s %ld", io_classes[io >> IOPRIO_CLASS_SHIFT], io & 7);
    }
}

static void find_affinity(struct found *f, pid_t pid)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    if (set != NULL && sched_getaffinity(pid, CPU_ALLOC_SIZE(CPUS_MAX), set) == 0) {
        int n = CPU_COUNT_S(CPU_ALLOC_SIZE(CPUS_MAX), set);
        if (n < online) {
            add(f, "cpus", "%d of %ld", n, online);
        }
    }
    if (set != NULL) {
        CPU_FREE(set);
    }
}

static void find_limits(struct found *f, pid_t pid)
{
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit;
        bool known = prlimit(pid, limits[i].resource, NULL, &limit) == 0;
        bool usual = limits[i].resource == RLIMIT_NOFILE && limit.rlim_cur >= NOFILE_USUAL;
        if (known && limit.rlim_cur != RLIM_INFINITY && !usual) {
            add(f, limits[i].name, "%llu", (unsigned long long)limit.rlim_cur);
        }
    }
}

static void find_oom(struct found *f, pid_t pid)
{
    char text[TEXT_SIZE];
    if (read_proc(pid, "oom_score_adj", text) && strtol(text, NULL, 10) != 0) {
        add(f, "oom_score_adj", "%ld", strtol(text, NULL, 10));
    }
}

/* Its line in the unified hierarchy, or in that of systemd(1). */
static void find_cgroup(struct found *f, pid_t pid)
{
    char text[TEXT_SIZE];
    const char *path = NULL;
    if (!read_proc(pid, "cgroup", text)) {
        return;
    }
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *at = strstr(line, strncmp(line, "0::", 3) == 0 ? "::" : ":name=systemd:");
        if (at != NULL && (path == NULL || strcmp(path, "/") == 0)) {
            path = strchr(at + 1, ':') + 1;
        }
    }
    if (path != NULL && strcmp(path, "/") != 0) {
        add(f, "cgroup", "%s", path);
    }
}

size_t cli_attributes_find(pid_t pid, struct cli_attribute list[CLI_ATTRIBUTES_MAX])
{
    struct found f = {.list = list};
    find_scheduling(&f, pid);
    find_affinity(&f, pid);
    find_limits(&f, pid);
    find_oom(&f, pid);
    find_cgroup(&f, pid);
    return f.n;
}
