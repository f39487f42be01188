/* SPDX-License-Identifier: Apache-2.0 */
#include "serving.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

enum { WATCHDOG_S = 170 };

/* For tools/run-tests: a program with this in it mostly waits, so it runs beside those that compute. */
__attribute__((used)) static const char mark[] = "zksync-test: waits";

int watchdog(void **state)
{
    (void)state;
    (void)alarm(WATCHDOG_S);
    wire_expect_wakeful_servers();
    return 0;
}

static void keep_line(enum zks_log_level level, const char *line, void *arg)
{
    struct serving *s = arg;
    (void)level;
    (void)pthread_mutex_lock(&s->lock);
    int len = snprintf(s->log + s->log_len, sizeof s->log - s->log_len, "%s\n", line);
    s->log_len += (size_t)len < sizeof s->log - s->log_len ? (size_t)len : 0;
    (void)pthread_mutex_unlock(&s->lock);
}

zks_server_options serving_options(struct serving *s, bool on_disk)
{
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    *s = (struct serving){.server = NULL};
    (void)pthread_mutex_init(&s->lock, NULL);
    if (on_disk) {
        const char *temporary = getenv("TMPDIR");
        (void)snprintf(s->folder, sizeof s->folder, "%s/zksync-serving-XXXXXX",
                       temporary != NULL ? temporary : "/tmp");
        assert_non_null(mkdtemp(s->folder));
        options.folder = s->folder;
    }
    options.tick_ms = 250;
    options.max_session_timeout_ms = 120000;
    options.log = keep_line;
    options.log_arg = s;
    options.log_level = ZKS_LOG_DEBUG;
    return options;
}

void serving_open_with(struct serving *s, const zks_server_options *options)
{
    it_equal_at(zks_server_open(options, &s->server), 0, s->log, __FILE__, __LINE__);
}

void serving_open(struct serving *s, bool on_disk)
{
    const zks_server_options options = serving_options(s, on_disk);
    serving_open_with(s, &options);
}

void serving_remove(const char *path)
{
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    }
    (void)closedir(folder);
    assert_int_equal(rmdir(path), 0);
}

size_t serving_bytes(const char *path)
{
    struct stat info;
    size_t bytes = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (e->d_name[0] != '.' && fstatat(dirfd(folder), e->d_name, &info, 0) == 0) {
            bytes += (size_t)info.st_size; /* Unless it has just been removed. */
        }
    }
    (void)closedir(folder);
    return bytes;
}

void serving_close(struct serving *s)
{
    zks_server_close(s->server);
    s->server = NULL;
    if (s->folder[0] != '\0') {
        serving_remove(s->folder);
    }
    (void)pthread_mutex_destroy(&s->lock);
}

bool serving_said(struct serving *s, const char *text)
{
    (void)pthread_mutex_lock(&s->lock);
    bool said = strstr(s->log, text) != NULL;
    (void)pthread_mutex_unlock(&s->lock);
    return said;
}

const char *serving_address(const struct serving *s)
{
    return zks_server_address(s->server);
}

struct zks_server_stats serving_stats(struct serving *s)
{
    struct zks_server_stats stats;
    it_ok(zks_server_get_stats(s->server, &stats));
    return stats;
}
