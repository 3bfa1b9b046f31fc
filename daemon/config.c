// Settings, one row each.
#include "daemon/config.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"

static const char *const spawn_words[] = {[SPAWN_FAST] = "fast", [SPAWN_PLAIN] = "plain", NULL};
static const char *const tree_words[] = {
    [TREE_AUTO] = "auto", [TREE_CGROUP] = "cgroup", [TREE_REAPER] = "reaper", [TREE_NONE] = "none", NULL};

static const char *const store_words[] = {[STORE_SQLITE] = "sqlite", [STORE_NONE] = "none", NULL};
static const char *const privileges_words[] = {[PRIVILEGES_ANY] = "any", [PRIVILEGES_NO_NEW] = "no_new", NULL};
static const char *const full_words[] = {[STORE_FULL_RUN] = "run", [STORE_FULL_REFUSE] = "refuse", NULL};

enum { AT_START = true };

static const struct setting {
    const char *name;
    const char *const *words; // an enum's, else a number from min to max
    size_t offset;
    int64_t fallback, min, max;
    bool at_start; // counts from the start on only
    const char *doc;
} settings[] = {
    {"spawn", spawn_words, offsetof(struct config, spawn), SPAWN_FAST, 0, 0, AT_START,
     "how leaders are started: fast (its cost does not grow with the jobs that live) or plain (fork)"},
    {"tree", tree_words, offsetof(struct config, tree), TREE_AUTO, 0, 0, AT_START,
     "what holds a job's processes together: auto, cgroup, reaper, or none (the process group only)"},
    {"launchers", NULL, offsetof(struct config, launchers), 4, 2, 8, AT_START, "threads that start leaders"},
    {"max_clients", NULL, offsetof(struct config, max_clients), 1000, 1, 100000, false, "connections at once"},
    {"max_calls", NULL, offsetof(struct config, max_calls), 10000, 1, 1000000, false,
     "unanswered requests of one connection with the jobs they wait for, and subscriptions with the jobs they name"},
    {"max_request_bytes", NULL, offsetof(struct config, max_request_bytes), 8 << 20, 1024, 1 << 30, AT_START,
     "longest request line"},
    {"max_live_jobs", NULL, offsetof(struct config, max_live_jobs), 10000, 1, 1000000, false, "jobs that live at once"},
    {"output_bytes", NULL, offsetof(struct config, output_bytes), 1 << 30, 0, INT64_MAX, AT_START,
     "captured output held in all; beyond it new output is a gap"},
    {"store", store_words, offsetof(struct config, store), STORE_SQLITE, 0, 0, AT_START,
     "where final jobs are kept: sqlite (in the state directory) or none (in memory, gone with the daemon)"},
    {"store_full", full_words, offsetof(struct config, store_full), STORE_FULL_RUN, 0, 0, false,
     "new jobs while the store can't be written: run (kept in memory meanwhile) or refuse"},
    {"history_jobs", NULL, offsetof(struct config, history_jobs), 100000, 0, 10000000, false,
     "final jobs kept (in memory at most 10000); the oldest go first"},
    {"history_bytes", NULL, offsetof(struct config, history_bytes), 1 << 30, 0, INT64_MAX, false,
     "what they and their output may take (in memory at most 256 MiB); the oldest go first"},
    {"privileges", privileges_words, offsetof(struct config, privileges), PRIVILEGES_ANY, 0, 0, AT_START,
     "what jobs may gain by set-uid programs and the like: any, or no_new (PR_SET_NO_NEW_PRIVS, for the worker too)"},
    {"owner_clients", NULL, offsetof(struct config, owner_clients), 200, 1, 100000, false,
     "of one user beside root, of a machine's daemon: connections at once"},
    {"owner_calls", NULL, offsetof(struct config, owner_calls), 20000, 1, 1000000, false,
     "likewise: unanswered requests"},
    {"owner_live_jobs", NULL, offsetof(struct config, owner_live_jobs), 2000, 1, 1000000, false,
     "likewise: jobs that live at once"},
    {"owner_queued_jobs", NULL, offsetof(struct config, owner_queued_jobs), 1000, 1, 1000000, false,
     "likewise: of them, those that wait to be started"},
    {"owner_queued_bytes", NULL, offsetof(struct config, owner_queued_bytes), 64 << 20, 1024, INT64_MAX, false,
     "likewise: requests and stdin of live jobs, input that waits, and answers that nobody reads"},
    {"owner_output_bytes", NULL, offsetof(struct config, owner_output_bytes), 256 << 20, 0, INT64_MAX, false,
     "likewise: captured output held; beyond it new output is a gap"},
    {"owner_descriptors", NULL, offsetof(struct config, owner_descriptors), 6000, 8, 10000000, false,
     "likewise: open files of supd for their connections and jobs; never more than half of all"},
    {"owner_history_jobs", NULL, offsetof(struct config, owner_history_jobs), 25000, 0, 10000000, false,
     "likewise: final jobs kept; the oldest go first"},
    {"owner_history_bytes", NULL, offsetof(struct config, owner_history_bytes), 256 << 20, 0, INT64_MAX, false,
     "likewise: what they and their output may take; the oldest go first"},
};

// Enums have the size of an int, numbers are 64 bits.
static void setting_store(const struct setting *s, struct config *config, int64_t value) {
    char *at = (char *)config + s->offset;
    int word = (int)value;
    if (s->words)
        memcpy(at, &word, sizeof(word));
    else
        memcpy(at, &value, sizeof(value));
}

int config_change(struct config *to, const struct config *from, const char **names, int max) {
    int count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        const struct setting *s = &settings[i];
        size_t size = s->words ? sizeof(int) : sizeof(int64_t);
        char *old = (char *)to + s->offset;
        const char *new = (const char *)from + s->offset;
        if (memcmp(old, new, size) == 0)
            continue;
        if (!s->at_start)
            memcpy(old, new, size);
        else if (count < max)
            names[count++] = s->name;
    }
    to->access = from->access;
    return count;
}

void config_keep(struct config_kept *kept, const struct config *config) {
    int other = !kept->now;
    kept->of[other] = *config;
    __atomic_store_n(&kept->now, other, __ATOMIC_RELEASE);
}

const struct config *config_kept_now(const struct config_kept *kept) {
    return &kept->of[kept->now];
}

void config_init(struct config *config) {
    config->access = (struct access){0};
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        setting_store(&settings[i], config, settings[i].fallback);
}

static int setting_refuse(const struct setting *s, char why[256]) {
    char words[100] = "";
    for (size_t i = 0; s->words && s->words[i]; i++) {
        size_t n = strlen(words);
        snprintf(words + n, sizeof(words) - n, "%s\"%s\"", i ? ", " : "", s->words[i]);
    }
    if (s->words)
        snprintf(why, 256, "%s must be one of %s", s->name, words);
    else
        snprintf(why, 256, "%s must be an integer from %lld to %lld", s->name, (long long)s->min, (long long)s->max);
    return -EINVAL;
}

static const struct access_word {
    const char *name;
    enum access_kind kind, group; // of a word that begins with %
} access_words[] = {
    {"users", ACCESS_USER, ACCESS_USER},
    {"groups", ACCESS_GROUP, ACCESS_GROUP},
    {"admins", ACCESS_ADMIN, ACCESS_ADMIN_GROUP},
};

static int access_item(struct access *access, const struct access_word *word, const json_t *item, char why[256]) {
    const char *text = json_string_value(item);
    bool is_group = text && text[0] == '%';
    int64_t id = json_is_integer(item) ? json_integer_value(item) : -1;
    text = text ? text + is_group : NULL;
    if (is_group && isdigit((unsigned char)text[0]) &&
        strlen(text) <= 10) { // no other way to write a group's number there
        char *end;
        id = strtoll(text, &end, 10);
        text = *end ? text : NULL;
    }
    bool is_number = text && text[0] && !text[strspn(text, "0123456789")]; // of which nobody has it as a name
    if (is_number || (is_group && word->group == word->kind) || (text ? !text[0] : id < 0 || id >= UINT32_MAX)) {
        snprintf(why, 256, "access.%s must hold names, and numbers without quotes%s", word->name,
                 word->group != word->kind ? " of users, and \"%GROUP\"" : "");
        return -EINVAL;
    }
    int r = access_add(access, is_group ? word->group : word->kind, text, id);
    if (r == -ENOSPC)
        snprintf(why, 256, "access holds at most %d names", ACCESS_MAX);
    else if (r < 0)
        snprintf(why, 256, "access.%s: a name has less than %d bytes", word->name, ACCESS_NAME);
    return r < 0 ? -EINVAL : 0;
}

// {"users": [...], "groups": [...], "admins": [...]}: it replaces what was said before.
static int access_apply(struct config *config, const json_t *value, char why[256]) {
    struct access access = {0};
    const char *name;
    json_t *list, *item;
    size_t i;
    if (!json_is_object(value)) {
        snprintf(why, 256, "access must be an object of users, groups and admins");
        return -EINVAL;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, list) {
        const struct access_word *word = NULL;
        for (size_t w = 0; w < ARRAY_SIZE(access_words); w++)
            if (streq(access_words[w].name, name))
                word = &access_words[w];
        if (!word || !json_is_array(list)) {
            snprintf(why, 256, word ? "access.%.60s must be an array" : "access.%.60s: only users, groups and admins",
                     name);
            return -EINVAL;
        }
        access.is_limited = access.is_limited || word->kind != ACCESS_ADMIN;
        json_array_foreach(list, i, item) {
            int r = access_item(&access, word, item, why);
            if (r < 0)
                return r;
        }
    }
    config->access = access;
    return 0;
}

static int config_apply(struct config *config, const char *name, const json_t *value, char why[256]) {
    if (streq(name, "access"))
        return access_apply(config, value, why);
    const struct setting *s = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (streq(settings[i].name, name))
            s = &settings[i];
    if (!s) {
        snprintf(why, 256, "%.100s is no setting (supd --help lists them)", name);
        return -EINVAL;
    }
    for (size_t i = 0; s->words && s->words[i] && json_is_string(value); i++)
        if (streq(s->words[i], json_string_value(value))) {
            setting_store(s, config, (int64_t)i);
            return 0;
        }
    if (s->words || !json_is_integer(value) || json_integer_value(value) < s->min || json_integer_value(value) > s->max)
        return setting_refuse(s, why);
    setting_store(s, config, json_integer_value(value));
    return 0;
}

// It names administrators: whoever can write to it is one. Asked of the open file, as its name may be another's by now. A user's
// own is of a group of their own where that is the custom, and may be the group's to write to.
static int file_trust(FILE *file, const char *path, char why[256]) {
    struct stat st;
    if (fstat(fileno(file), &st) < 0) {
        int r = -errno;
        snprintf(why, 256, "%.150s: %s", path, strerror(errno));
        return r;
    }
    bool is_ours = st.st_uid == 0 || st.st_uid == geteuid();
    mode_t others = geteuid() == 0 ? S_IWGRP | S_IWOTH : S_IWOTH;
    if (is_ours && !(st.st_mode & others))
        return 0;
    if (!is_ours)
        snprintf(why, 256, "%.150s: it is a file of uid %u: chown it to uid %u, whose supd reads it", path,
                 (unsigned)st.st_uid, (unsigned)geteuid());
    else
        snprintf(why, 256, "%.150s: others can write to it (mode %04o): chmod go-w", path, st.st_mode & 07777);
    return -EPERM;
}

int config_read(struct config *config, const char *path, bool required, char why[256]) {
    json_error_t error;
    FILE *file = fopen(path, "re");
    if (!file) {
        int r = -errno;
        snprintf(why, 256, "%.150s: %s", path, strerror(errno));
        return r == -ENOENT && !required ? 0 : r;
    }
    int r = file_trust(file, path, why);
    json_t *root = r == 0 ? json_loadf(file, JSON_REJECT_DUPLICATES, &error) : NULL;
    fclose(file);
    if (r != 0)
        return r;
    if (!json_is_object(root)) {
        snprintf(why, 256, "%.80s:%d: %.120s", path, root ? 1 : error.line, root ? "must be an object" : error.text);
        json_decref(root);
        return -EINVAL;
    }
    const char *name;
    json_t *value;
    char what[256];
    json_object_foreach(root, name, value) {
        r = config_apply(config, name, value, what);
        if (r < 0) {
            snprintf(why, 256, "%.100s: %.150s", path, what);
            break;
        }
    }
    json_decref(root);
    return r;
}

int config_set(struct config *config, const char *assignment, char why[256]) {
    const char *equals = strchr(assignment, '=');
    if (!equals) {
        snprintf(why, 256, "--set takes KEY=VALUE");
        return -EINVAL;
    }
    _cleanup_free_ char *name = strndup(assignment, (size_t)(equals - assignment));
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (!value)
        value = json_string(equals + 1);
    int r = name && value ? config_apply(config, name, value, why) : -EINVAL;
    if (!name || !value)
        snprintf(why, 256, "--set: the value is not UTF-8");
    json_decref(value);
    return r;
}

void config_help(void) {
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        const struct setting *s = &settings[i];
        char fallback[32];
        if (s->words)
            snprintf(fallback, sizeof(fallback), "%s", s->words[s->fallback]);
        else
            snprintf(fallback, sizeof(fallback), "%lld", (long long)s->fallback);
        printf("  %-19s %s (%s)\n", s->name, s->doc, fallback);
    }
    puts("  access              of a machine's daemon: {\"users\": [...], \"groups\": [...]}: who may connect, by name "
         "or\n"
         "                      number (every user that the machine knows); \"admins\": [...]: users, and \"%GROUP\", "
         "who\n"
         "                      see, signal, end and forget everybody's jobs, reload and stop (root)");
}
