// Exit codes, the first rule that matches.
#include "client/exit_code.h"

#include <signal.h>

#include "common/proto.h"
#include "common/util.h"

static bool is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (streq(word, *words))
            return true;
    return false;
}

static int exit_code_spawn(const json_t *error) {
    static const char *const not_found[] = {"ENOENT", "ENOTDIR", NULL};
    const char *stage = json_string_value(json_object_get(error, "stage"));
    const char *name = json_string_value(json_object_get(error, "errno"));
    if (!stage || !name || !streq(stage, "exec"))
        return EXIT_CANNOT;
    return is_one_of(name, not_found) ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

int exit_code(const json_t *job) {
    static const char *const cannot[] = {"skipped", "lost", NULL};
    static const char *const never_zero[] = {"killed", "output_limit", "oom", NULL};
    const json_t *result = json_object_get(job, "result");
    const char *reason = json_string_value(json_object_get(result, "reason"));
    if (!reason)
        return EXIT_CANNOT;
    if (json_is_true(json_object_get(result, "timed_out")))
        return EXIT_TIMEOUT;
    if (streq(reason, "spawn_failed"))
        return exit_code_spawn(json_object_get(result, "error"));
    if (is_one_of(reason, cannot))
        return EXIT_CANNOT;
    const char *signal = json_string_value(json_object_get(result, "signal"));
    int code = signal ? EXIT_SIGNAL + MAX(proto_signal_number(signal), 0)
                      : (int)json_integer_value(json_object_get(result, "exit_code"));
    return code == 0 && is_one_of(reason, never_zero) ? EXIT_SIGNAL + SIGTERM : code;
}
