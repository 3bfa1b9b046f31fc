// Tests of the OpenRPC document: well formed, nothing dangling, everything of the tables in it.
#include "common/openrpc.h"

#include <stdio.h>

#include "common/proto.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static json_t *document;

static void setup(void) {
    document = openrpc_document("1.2.3");
    ck_assert_ptr_nonnull(document);
}

static void teardown(void) {
    json_decref(document);
}

static const char *text_at(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    ck_assert_msg(text && *text, "no %s", key);
    return text;
}

// Every reference leads to a schema that says something; every list of required names real properties.
static void check_schemas(const json_t *value, const json_t *schemas) {
    static const char start[] = "#/components/schemas/";
    const char *key;
    json_t *item;
    size_t i;
    const char *reference = json_string_value(json_object_get(value, "$ref"));
    if (reference) {
        ck_assert_msg(strncmp(reference, start, sizeof(start) - 1) == 0, "%s", reference);
        const json_t *named = json_object_get(schemas, reference + sizeof(start) - 1);
        ck_assert_msg(json_object_size(named) > 0, "%s leads nowhere", reference);
    }
    const json_t *properties = json_object_get(value, "properties");
    if (properties && json_is_array(json_object_get(value, "required")))
        json_array_foreach(json_object_get(value, "required"), i, item)
            ck_assert_msg(json_object_get(properties, json_string_value(item)) != NULL, "%s", json_string_value(item));
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        ck_assert_msg(!json_is_null(item) || streq(key, "default"), "%s is null", key);
        check_schemas(item, schemas);
    }
    json_array_foreach(value, i, item)
        check_schemas(item, schemas);
}

START_TEST(has_its_head) {
    ck_assert_int_eq(strncmp(text_at(document, "openrpc"), "1.", 2), 0);
    const json_t *info = json_object_get(document, "info");
    ck_assert_str_eq(text_at(info, "title"), "supd");
    ck_assert_str_eq(text_at(info, "version"), "1.2.3");
    ck_assert_uint_gt(json_object_size(json_object_get(json_object_get(document, "components"), "schemas")), 10);
}
END_TEST

START_TEST(references_lead_somewhere) {
    check_schemas(document, json_object_get(json_object_get(document, "components"), "schemas"));
}
END_TEST

static void check_params(const struct proto_method *method, const json_t *object) {
    const struct proto_field *lists[4];
    const json_t *params = json_object_get(object, "params");
    size_t at = 0;
    proto_method_lists(method, lists);
    for (size_t i = 0; lists[i]; i++)
        for (const struct proto_field *f = lists[i]; f->name; f++, at++) {
            const json_t *param = json_array_get(params, at);
            ck_assert_str_eq(text_at(param, "name"), f->name);
            ck_assert_str_eq(text_at(param, "description"), f->doc);
            ck_assert(json_is_boolean(json_object_get(param, "required")));
            bool always = method->result ? (f->flags & PF_REQUIRED) != 0 : !(f->flags & PF_OPTIONAL);
            ck_assert(json_is_true(json_object_get(param, "required")) == always);
            ck_assert(json_is_object(json_object_get(param, "schema")));
            const json_t *fallback = json_object_get(json_object_get(param, "schema"), "default");
            ck_assert_msg(!method->result || !f->fallback == !fallback, "%s.%s", method->name, f->name);
        }
    ck_assert_uint_eq(json_array_size(params), at);
}

START_TEST(every_method_is_in_it) {
    const json_t *methods = json_object_get(document, "methods");
    size_t at = 0, errors = 0;
    while (proto_errors[errors].code)
        errors++;
    for (const struct proto_method *m = proto_methods; m->name; m++, at++) {
        const json_t *object = json_array_get(methods, at);
        ck_assert_str_eq(text_at(object, "name"), m->name);
        ck_assert_str_eq(text_at(object, "summary"), m->doc);
        ck_assert_str_eq(text_at(object, "paramStructure"), "by-name");
        ck_assert_str_eq(text_at(json_object_get(object, "result"), "name"), "result");
        ck_assert(json_is_object(json_object_get(json_object_get(object, "result"), "schema")));
        ck_assert_uint_eq(json_array_size(json_object_get(object, "errors")), errors);
        check_params(m, object);
    }
    ck_assert_uint_eq(json_array_size(methods), at);
}
END_TEST

START_TEST(every_notification_is_in_it) {
    const json_t *notifications = json_object_get(document, "x-notifications");
    size_t at = 0;
    for (const struct proto_method *m = proto_notifications; m->name; m++, at++) {
        const json_t *object = json_array_get(notifications, at);
        ck_assert_str_eq(text_at(object, "name"), m->name);
        ck_assert_ptr_null(json_object_get(object, "result"));
        check_params(m, object);
    }
    ck_assert_uint_eq(json_array_size(notifications), at);
}
END_TEST

START_TEST(every_error_is_in_it) {
    const json_t *first = json_array_get(json_object_get(document, "methods"), 0);
    size_t at = 0;
    for (const struct proto_error *e = proto_errors; e->code; e++, at++) {
        const json_t *error = json_array_get(json_object_get(first, "errors"), at);
        ck_assert_int_eq(json_integer_value(json_object_get(error, "code")), e->code);
        ck_assert_str_eq(text_at(error, "message"), e->doc);
        ck_assert_str_eq(text_at(json_object_get(error, "data"), "name"), e->name);
    }
}
END_TEST

START_TEST(is_the_same_every_time) {
    json_t *again = openrpc_document("1.2.3");
    ck_assert(json_equal(document, again));
    json_decref(again);
    char *text = json_dumps(document, JSON_COMPACT);
    json_t *back = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_equal(document, back));
    json_decref(back);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("openrpc");
    TCase *all = suite_case(suite, "openrpc", setup, teardown);
    tcase_add_test(all, has_its_head);
    tcase_add_test(all, references_lead_somewhere);
    tcase_add_test(all, every_method_is_in_it);
    tcase_add_test(all, every_notification_is_in_it);
    tcase_add_test(all, every_error_is_in_it);
    tcase_add_test(all, is_the_same_every_time);
    return suite_run(suite);
}
