// Tests of the protocol's tables: whole, documented, without doubles, and in step with the daemon's handlers.
#include "common/proto.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>

#include "common/proto_record.h"
#include "common/proto_types.h"
#include "common/util.h"
#include "daemon/control/dispatch.h"
#include "tests/unit/suite.h"

enum { TYPE_DEPTH = 24 }; // deeper than any type nests

static void check_type(const struct proto_type *type, const char *where, int depth);

static void check_words(const char *const *words, const char *where) {
    for (size_t i = 0; words && words[i]; i++) {
        ck_assert_msg(words[i][0] != 0, "%s: an empty word", where);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(!streq(words[i], words[j]), "%s: %s twice", where, words[i]);
    }
}

static void check_fallback(const struct proto_field *f, const char *where) {
    json_t *value = json_loads(f->fallback, JSON_DECODE_ANY, NULL);
    ck_assert_msg(value != NULL, "%s: the default %s is no JSON", where, f->fallback);
    json_decref(value);
}

static void check_fields(const struct proto_field *fields, const char *where, int depth) {
    char name[200];
    for (const struct proto_field *f = fields; f->name; f++) {
        snprintf(name, sizeof(name), "%s.%s", where, f->name);
        ck_assert_msg(f->doc && f->doc[0], "%s: no doc", name);
        ck_assert_msg(f->type != NULL, "%s: no type", name);
        ck_assert_msg(!(f->flags & ~(unsigned)(PF_REQUIRED | PF_OPTIONAL | PF_NULL | PF_LATER)), "%s: flags", name);
        ck_assert_msg(!(f->flags & PF_REQUIRED) || !f->fallback, "%s: required, with a default", name);
        for (const char *p = f->name; *p; p++)
            ck_assert_msg(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_', "%s", name);
        for (const struct proto_field *other = fields; other < f; other++)
            ck_assert_msg(!streq(f->name, other->name), "%s: twice", name);
        if (f->fallback)
            check_fallback(f, name);
        check_type(f->type, name, depth + 1);
    }
}

static void check_type(const struct proto_type *type, const char *where, int depth) {
    ck_assert_msg(depth < TYPE_DEPTH, "%s: nests without end", where);
    ck_assert_msg(type->max >= type->min, "%s: max below min", where);
    switch (type->kind) {
    case PK_ENUM:
        ck_assert_msg(type->values && type->values[0], "%s: an enum without values", where);
        check_words(type->values, where);
        check_words(type->later, where);
        break;
    case PK_ARRAY:
    case PK_MAP:
        ck_assert_msg(type->item != NULL, "%s: no item", where);
        ck_assert_msg(type->kind == PK_MAP || type->max > 0, "%s: an array that holds nothing", where);
        check_type(type->item, where, depth + 1);
        break;
    case PK_OBJECT:
        ck_assert_msg(type->fields != NULL, "%s: no fields", where);
        check_fields(type->fields, where, depth);
        break;
    case PK_ONEOF:
        ck_assert_msg(type->any && type->any[0], "%s: one of nothing", where);
        for (const struct proto_type *const *any = type->any; *any; any++)
            check_type(*any, where, depth + 1);
        break;
    case PK_INT:
    case PK_NUMBER:
    case PK_STRING:
        ck_assert_msg(type->max > type->min, "%s: no range", where);
        break;
    case PK_ANY:
    case PK_NULL:
    case PK_BOOL:
        break;
    }
}

static void check_methods(const struct proto_method *methods) {
    for (const struct proto_method *m = methods; m->name; m++) {
        const struct proto_field *lists[4] = {NULL};
        const struct proto_field *seen[200] = {NULL};
        size_t count = 0;
        ck_assert_msg(m->doc && m->doc[0], "%s: no doc", m->name);
        for (const struct proto_method *other = methods; other < m; other++)
            ck_assert_str_ne(m->name, other->name);
        proto_method_lists(m, lists);
        for (size_t i = 0; lists[i]; i++) {
            check_fields(lists[i], m->name, 0);
            for (const struct proto_field *f = lists[i]; f->name; f++) {
                for (size_t k = 0; k < count; k++)
                    ck_assert_msg(!streq(seen[k]->name, f->name), "%s: %s twice", m->name, f->name);
                ck_assert_uint_lt(count, ARRAY_SIZE(seen));
                seen[count++] = f;
            }
        }
        if (m->result)
            check_type(m->result, m->name, 0);
    }
}

START_TEST(every_method_is_whole) {
    check_methods(proto_methods);
    for (const struct proto_method *m = proto_methods; m->name; m++)
        ck_assert_msg(m->result != NULL, "%s: no result", m->name);
}
END_TEST

START_TEST(every_notification_is_whole) {
    check_methods(proto_notifications);
    for (const struct proto_method *m = proto_notifications; m->name; m++)
        ck_assert_msg(m->params && !m->result && m->target == PT_NONE, "%s", m->name);
}
END_TEST

START_TEST(every_method_has_a_handler) {
    for (const struct proto_method *m = proto_methods; m->name; m++) {
        ck_assert_msg(dispatch_handler(m->name) != NULL, "%s: no handler", m->name);
        for (const struct proto_method *other = proto_methods; other < m; other++)
            ck_assert_msg(dispatch_handler(m->name) != dispatch_handler(other->name), "%s and %s", m->name,
                          other->name);
    }
}
END_TEST

START_TEST(no_handler_is_without_a_method) {
    const char *const names[] = {
        "",           "job",       "job.",       "job.runs",        "Job.run",       "job.started", "job.restart",
        "job.attach", "job.stdin", "job.resize", "event.subscribe", "daemon.reload", "rpc.",        "rpc.discover "};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        ck_assert_msg(!proto_method_find(names[i]) == !dispatch_handler(names[i]), "%s", names[i]);
}
END_TEST

START_TEST(methods_are_found_by_name) {
    for (const struct proto_method *m = proto_methods; m->name; m++)
        ck_assert_ptr_eq(proto_method_find(m->name), m);
    ck_assert_ptr_null(proto_method_find(""));
    ck_assert_ptr_null(proto_method_find("job.ru"));
    ck_assert_ptr_null(proto_method_find("JOB.RUN"));
    ck_assert_ptr_null(proto_method_find("job.started"));
    ck_assert(proto_method_find("daemon.stop")->administrators);
    ck_assert(!proto_method_find("job.run")->administrators);
}
END_TEST

START_TEST(lists_come_in_order) {
    const struct proto_field *lists[4];
    proto_method_lists(proto_method_find("job.run"), lists);
    ck_assert_ptr_eq(lists[0], proto_spec_fields);
    ck_assert_ptr_eq(lists[1], proto_method_find("job.run")->params);
    ck_assert_ptr_null(lists[2]);
    proto_method_lists(proto_method_find("job.wait"), lists);
    ck_assert_ptr_eq(lists[0], proto_target_many);
    ck_assert_ptr_nonnull(lists[1]);
    proto_method_lists(proto_method_find("job.status"), lists);
    ck_assert_ptr_eq(lists[0], proto_target_one);
    proto_method_lists(proto_method_find("daemon.info"), lists);
    ck_assert_ptr_null(lists[0]);
}
END_TEST

START_TEST(every_error_is_there_once) {
    static const int codes[] = {PROTO_PARSE_ERROR,       PROTO_INVALID_REQUEST, PROTO_METHOD_NOT_FOUND,
                                PROTO_INVALID_PARAMS,    PROTO_INTERNAL_ERROR,  PROTO_NOT_FOUND,
                                PROTO_PERMISSION_DENIED, PROTO_CONFLICT,        PROTO_LIMIT_REACHED,
                                PROTO_SHUTTING_DOWN,     PROTO_UNSUPPORTED};
    size_t count = 0;
    for (const struct proto_error *e = proto_errors; e->code; e++, count++) {
        ck_assert(e->name && e->name[0] && e->doc && e->doc[0]);
        for (const struct proto_error *other = proto_errors; other < e; other++)
            ck_assert(e->code != other->code && !streq(e->name, other->name));
    }
    ck_assert_uint_eq(count, ARRAY_SIZE(codes));
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        ck_assert_int_eq(proto_error_find(codes[i])->code, codes[i]);
    ck_assert_int_eq(proto_error_find(0)->code, PROTO_INTERNAL_ERROR);
    ck_assert_int_eq(proto_error_find(99)->code, PROTO_INTERNAL_ERROR);
}
END_TEST

START_TEST(states_and_reasons_are_words) {
    check_words(proto_states, "states");
    check_words(proto_reasons, "reasons");
    ck_assert_ptr_eq(proto_state.values, proto_states);
}
END_TEST

START_TEST(every_option_is_its_own) {
    for (const struct proto_field *f = proto_spec_fields; f->name; f++)
        for (const struct proto_field *other = proto_spec_fields; f->option && other < f; other++)
            ck_assert_msg(!other->option || !streq(f->option, other->option), "--%s twice", f->option);
}
END_TEST

START_TEST(signals_go_both_ways) {
    for (int number = 1; number < 32; number++) {
        const char *name = proto_signal_name(number);
        ck_assert_msg(name != NULL, "signal %d", number);
        ck_assert_msg(proto_signal_number(name) == number, "%s", name);
    }
    ck_assert_str_eq(proto_signal_name(SIGTERM), "SIGTERM");
    ck_assert_int_eq(proto_signal_number("SIGKILL"), SIGKILL);
    ck_assert_ptr_null(proto_signal_name(0));
    ck_assert_ptr_null(proto_signal_name(-1));
    ck_assert_ptr_null(proto_signal_name(NSIG));
    ck_assert_ptr_null(proto_signal_name(SIGRTMIN));
    ck_assert_ptr_null(proto_signal_name(INT32_MAX));
}
END_TEST

START_TEST(real_time_signals_are_numbers) {
    char name[16];
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        snprintf(name, sizeof(name), "SIG%d", number);
        ck_assert_int_eq(proto_signal_number(name), number);
    }
}
END_TEST

START_TEST(other_signals_are_refused) {
    const char *const names[] = {"",         "SIG",      "TERM",   "15",      "SIG15",
                                 "SIG0",     "SIG65",    "SIG33",  "SIGterm", "sigterm",
                                 "SIGTERM ", "SIGTERMX", "SIG-35", "SIG35x",  "SIG99999999999999999999",
                                 "SIG 35",   "SIG\t35"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        ck_assert_msg(proto_signal_number(names[i]) == -EINVAL, "%s", names[i]);
}
END_TEST

START_TEST(whole_reals_are_integers) {
    json_t *integer = json_integer(INT64_MAX), *real = json_real(-4096.0);
    ck_assert(proto_int(integer) == INT64_MAX);
    ck_assert(proto_int(real) == -4096);
    json_decref(integer);
    json_decref(real);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto");
    TCase *tables = suite_case(suite, "tables", NULL, NULL);
    tcase_add_test(tables, every_method_is_whole);
    tcase_add_test(tables, every_notification_is_whole);
    tcase_add_test(tables, every_method_has_a_handler);
    tcase_add_test(tables, no_handler_is_without_a_method);
    tcase_add_test(tables, methods_are_found_by_name);
    tcase_add_test(tables, lists_come_in_order);
    tcase_add_test(tables, every_error_is_there_once);
    tcase_add_test(tables, states_and_reasons_are_words);
    tcase_add_test(tables, every_option_is_its_own);
    TCase *signals = suite_case(suite, "signals", NULL, NULL);
    tcase_add_test(signals, signals_go_both_ways);
    tcase_add_test(signals, real_time_signals_are_numbers);
    tcase_add_test(signals, other_signals_are_refused);
    tcase_add_test(signals, whole_reals_are_integers);
    return suite_run(suite);
}
