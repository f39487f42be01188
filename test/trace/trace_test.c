/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the scripts of this folder: trace_test [--rewrite] [FILE...].  See trace.h. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* A growing text that a FILE writes to. */
struct text {
    char *bytes;
    size_t len;
    FILE *file;
};

struct run {
    struct trace_machine *machine;
    struct trace_world world;
    char kind[64];
    char name[256];
    bool failed;
    int line;
    int *count;
    int *failures;
    struct text whole; /* The script as it should be. */
    struct text got;   /* The case in hand: events and what came of them. */
    struct text want;  /* The same as the script has it. */
};

static void open_text(struct text *t)
{
    t->bytes = NULL;
    t->len = 0;
    t->file = open_memstream(&t->bytes, &t->len);
    if (t->file == NULL) {
        perror("open_memstream");
        exit(2);
    }
}

static void close_text(struct text *t)
{
    if (t->file != NULL) {
        fclose(t->file);
        t->file = NULL;
    }
}

static void free_text(struct text *t)
{
    close_text(t);
    free(t->bytes);
    t->bytes = NULL;
}

static void print_commented(const char *title, const char *text)
{
    printf("# %s\n", title);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        printf("#   %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Where two texts part, a few lines of each. */
static void print_difference(const char *want, const char *got)
{
    const char *start_want = want;
    const char *start_got = got;
    for (;;) {
        size_t a = strcspn(want, "\n");
        size_t b = strcspn(got, "\n");
        if (a != b || strncmp(want, got, a) != 0 || want[a] == '\0' || got[b] == '\0') {
            break;
        }
        if (want[0] != ' ') {
            start_want = want;
            start_got = got;
        }
        want += a + 1;
        got += b + 1;
    }
    print_commented("expected, from the event that differs:", start_want);
    print_commented("got:", start_got);
}

static void end_case(struct run *r)
{
    if (r->name[0] == '\0') {
        return;
    }
    close_text(&r->got);
    close_text(&r->want);
    bool same = strcmp(r->got.bytes, r->want.bytes) == 0;
    bool ok = same && !r->failed;
    printf("%sok %d - %s: %s\n", ok ? "" : "not ", ++*r->count, r->kind, r->name);
    if (!same) {
        print_difference(r->want.bytes, r->got.bytes);
    }
    *r->failures += ok ? 0 : 1;
    fputs(r->got.bytes, r->whole.file);
    free_text(&r->got);
    free_text(&r->want);
    r->name[0] = '\0';
}

static bool begin_case(struct run *r, const char *line)
{
    open_text(&r->got);
    open_text(&r->want);
    fprintf(r->got.file, "%s\n", line);
    fprintf(r->want.file, "%s\n", line);
    (void)snprintf(r->name, sizeof r->name, "%s", line + strlen("case "));
    r->failed = false;
    r->machine = trace_machine_new(r->kind);
    trace_world_init(&r->world);
    return r->machine != NULL;
}

static bool set_up(struct run *r, const char *line)
{
    char key[64];
    char value[64];
    return sscanf(line, "given %63[^=]=%63s", key, value) == 2 &&
           trace_machine_set(r->machine, key, value);
}

static bool run_line(struct run *r, char *line)
{
    if (strncmp(line, "machine ", 8) == 0) {
        fprintf(r->whole.file, "%s\n", line);
        (void)snprintf(r->kind, sizeof r->kind, "%s", line + 8);
        return true;
    }
    if (strncmp(line, "case ", 5) == 0) {
        end_case(r);
        return begin_case(r, line);
    }
    if (r->name[0] == '\0') {
        fprintf(r->whole.file, "%s\n", line);
        return line[0] == '\0' || line[0] == '#';
    }
    fprintf(r->want.file, "%s\n", line);
    if (line[0] == ' ') {
        return true;
    }
    fprintf(r->got.file, "%s\n", line);
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    if (strncmp(line, "given ", 6) == 0) {
        return set_up(r, line);
    }
    return trace_event(r->machine, &r->world, line, r->got.file);
}

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    bool ok = fputs(text, file) >= 0;
    return fclose(file) == 0 && ok;
}

/* Every case of a script; false where it cannot be read or written. */
static bool run_file(const char *path, bool rewrite, int *count, int *failures)
{
    struct run r = {.count = count, .failures = failures};
    char *line = NULL;
    size_t size = 0;
    bool broken = false;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    open_text(&r.whole);
    while (getline(&line, &size, file) >= 0) {
        r.line++;
        line[strcspn(line, "\n")] = '\0';
        if (!run_line(&r, line)) {
            printf("# %s:%d: \"%s\" failed\n", path, r.line, line);
            r.failed = true;
            broken = true;
        }
    }
    end_case(&r);
    close_text(&r.whole);
    if (rewrite && broken) {
        fprintf(stderr, "%s: not rewritten\n", path);
    } else if (rewrite && !write_file(path, r.whole.bytes)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        broken = true;
    }
    free_text(&r.whole);
    free(line);
    fclose(file);
    return !broken;
}

static int is_script(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".trace") == 0;
}

static bool run_folder(const char *folder, bool rewrite, int *count, int *failures)
{
    struct dirent **entries;
    bool ok = true;
    int n = scandir(folder, &entries, is_script, alphasort);
    if (n <= 0) {
        fprintf(stderr, "%s: no scripts\n", folder);
        return false;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        ok &= run_file(path, rewrite, count, failures);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int count = 0;
    int failures = 0;
    bool ok = true;
    int first = rewrite ? 2 : 1;
    if (first == argc) {
        ok = run_folder(TRACE_FOLDER, rewrite, &count, &failures);
    }
    for (int i = first; i < argc; i++) {
        ok &= run_file(argv[i], rewrite, &count, &failures);
    }
    printf("1..%d\n", count);
    return ok && count > 0 && (rewrite || failures == 0) ? 0 : 1;
}
