// What ended a job, in words.
#include "client/outcome.h"

#include <stdio.h>

#include "client/print.h"
#include "common/units.h"
#include "common/util.h"

const char *outcome_reason(const json_t *job) {
    return json_string_value(json_object_get(json_object_get(job, "result"), "reason"));
}

static void outcome_killer(const json_t *killed_by, char text[96]) {
    const char *by = json_string_value(json_object_get(killed_by, "by"));
    const json_t *uid = json_object_get(killed_by, "uid");
    if (by && streq(by, "client") && json_is_integer(uid))
        snprintf(text, 96, "by a client of uid %lld", (long long)json_integer_value(uid));
    else
        snprintf(text, 96, "%s", !by ? "" : streq(by, "lease") ? "its lease has ended" : "by supd, which stops");
}

const char *outcome_detail(const json_t *job, char text[512]) {
    const json_t *result = json_object_get(job, "result");
    const char *message = json_string_value(json_object_get(json_object_get(result, "error"), "message"));
    const char *reason = outcome_reason(job);
    if (reason && streq(reason, "oom"))
        message = "the kernel killed it for want of memory, its own limit's (--memory) or the machine's";
    char detail[96] = "", time[32];
    if (json_is_true(json_object_get(result, "timed_out")))
        snprintf(detail, sizeof(detail), "after %s",
                 units_duration(json_number_value(json_object_get(job, "elapsed")), time));
    else
        outcome_killer(json_object_get(result, "killed_by"), detail);
    snprintf(text, 512, "%s", message ? message : detail);
    return text;
}

void outcome_tell(const json_t *job) {
    const char *reason = outcome_reason(job),
               *program = json_string_value(json_array_get(json_object_get(job, "argv"), 0));
    char detail[512];
    if (!reason || streq(reason, "exited") || streq(reason, "signaled"))
        return;
    outcome_detail(job, detail);
    if (streq(reason, "spawn_failed"))
        print_error("%s", detail);
    else
        print_error("%s: %s%s%s", program ? program : "the job", reason, *detail ? ": " : "", detail);
}
