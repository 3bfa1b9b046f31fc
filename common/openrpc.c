// The tables as an OpenRPC document: each named type once under components, references elsewhere.
#include "common/openrpc.h"

#include "common/proto.h"
#include "common/util.h"

struct document {
    json_t *components; // owned
    bool result;        // results are described, not params
    bool failed;        // memory was out somewhere: the whole is worth nothing
};

static json_t *type_schema(struct document *doc, const struct proto_type *type);

// Both take the value over; NULL is what memory that was out has left of it.
static void put(struct document *doc, json_t *object, const char *key, json_t *value) {
    if (!object || !value || json_object_set_new(object, key, value) < 0)
        doc->failed = true;
    if (!object)
        json_decref(value);
}

static void push(struct document *doc, json_t *array, json_t *value) {
    if (!array || !value || json_array_append_new(array, value) < 0)
        doc->failed = true;
    if (!array)
        json_decref(value);
}

static json_t *typed(struct document *doc, const char *name) {
    json_t *schema = json_object();
    put(doc, schema, "type", json_string(name));
    return schema;
}

static json_t *number_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, type->kind == PK_INT ? "integer" : "number");
    if (type->min > -9e18)
        put(doc, schema, type->above ? "exclusiveMinimum" : "minimum", json_integer((json_int_t)type->min));
    if (type->max < 9e18)
        put(doc, schema, "maximum", json_integer((json_int_t)type->max));
    else if (type->kind == PK_INT)
        put(doc, schema, "maximum", json_integer(PROTO_INT_MAX));
    return schema;
}

static json_t *string_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, "string");
    if (type->min > 0)
        put(doc, schema, "minLength", json_integer((json_int_t)type->min));
    if (type->pattern)
        put(doc, schema, "pattern", json_string(type->pattern));
    return schema;
}

static json_t *enum_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, "string"), *values = json_array();
    for (const char *const *v = type->values; *v; v++)
        push(doc, values, json_string(*v));
    put(doc, schema, "enum", values);
    return schema;
}

static json_t *array_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, "array");
    put(doc, schema, "items", type_schema(doc, type->item));
    if (type->min > 0)
        put(doc, schema, "minItems", json_integer((json_int_t)type->min));
    return schema;
}

static json_t *nullable(struct document *doc, json_t *schema) {
    json_t *either = json_object(), *any = json_array();
    push(doc, any, schema);
    push(doc, any, typed(doc, "null"));
    put(doc, either, "anyOf", any);
    return either;
}

static json_t *field_schema(struct document *doc, const struct proto_field *f) {
    json_t *schema = type_schema(doc, f->type);
    if ((f->flags & PF_NULL) || (!doc->result && !(f->flags & PF_REQUIRED)))
        schema = nullable(doc, schema);
    if (json_object_get(schema, "$ref"))
        return schema; // beside a $ref nothing else counts
    if (f->doc)
        put(doc, schema, "description", json_string(f->doc));
    if (f->fallback && !doc->result)
        put(doc, schema, "default", json_loads(f->fallback, JSON_DECODE_ANY, NULL));
    if (f->flags & PF_LATER)
        put(doc, schema, "x-unsupported", json_true());
    return schema;
}

static json_t *object_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, "object"), *properties = json_object(), *required = json_array();
    for (const struct proto_field *f = type->fields; f->name; f++) {
        put(doc, properties, f->name, field_schema(doc, f));
        if (doc->result ? !(f->flags & PF_OPTIONAL) : f->flags & PF_REQUIRED)
            push(doc, required, json_string(f->name));
    }
    put(doc, schema, "properties", properties);
    put(doc, schema, "additionalProperties", json_false());
    if (json_array_size(required) > 0)
        put(doc, schema, "required", required);
    else
        json_decref(required);
    return schema;
}

static json_t *any_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = json_object(), *any = json_array();
    for (const struct proto_type *const *t = type->any; *t; t++)
        push(doc, any, type_schema(doc, *t));
    put(doc, schema, "anyOf", any);
    return schema;
}

static json_t *map_schema(struct document *doc, const struct proto_type *type) {
    json_t *schema = typed(doc, "object"), *item = type_schema(doc, type->item);
    put(doc, schema, "additionalProperties", type->null_items ? nullable(doc, item) : item);
    return schema;
}

static json_t *bare_schema(struct document *doc, const struct proto_type *type) {
    switch (type->kind) {
    case PK_ANY:
        return json_object();
    case PK_NULL:
        return typed(doc, "null");
    case PK_BOOL:
        return typed(doc, "boolean");
    case PK_INT:
    case PK_NUMBER:
        return number_schema(doc, type);
    case PK_STRING:
        return string_schema(doc, type);
    case PK_ENUM:
        return enum_schema(doc, type);
    case PK_ARRAY:
        return array_schema(doc, type);
    case PK_MAP:
        return map_schema(doc, type);
    case PK_OBJECT:
        return object_schema(doc, type);
    case PK_ONEOF:
        return any_schema(doc, type);
    }
    return NULL;
}

static json_t *type_schema(struct document *doc, const struct proto_type *type) {
    if (!type->name)
        return bare_schema(doc, type);
    if (!json_object_get(doc->components, type->name)) {
        put(doc, doc->components, type->name, json_object()); // reserves the name for what refers to itself
        json_t *schema = bare_schema(doc, type);
        if (type->doc)
            put(doc, schema, "description", json_string(type->doc));
        put(doc, doc->components, type->name, schema);
    }
    json_t *reference = json_object();
    put(doc, reference, "$ref", json_sprintf("#/components/schemas/%s", type->name));
    return reference;
}

static json_t *method_params(struct document *doc, const struct proto_method *m) {
    const struct proto_field *lists[4];
    json_t *params = json_array();
    proto_method_lists(m, lists);
    doc->result = m->result == NULL; // what a notification carries is described as results are
    for (size_t i = 0; lists[i]; i++) {
        for (const struct proto_field *f = lists[i]; f->name; f++) {
            json_t *param = json_object();
            put(doc, param, "name", json_string(f->name));
            put(doc, param, "description", json_string(f->doc));
            put(doc, param, "required", json_boolean(doc->result ? !(f->flags & PF_OPTIONAL) : f->flags & PF_REQUIRED));
            put(doc, param, "schema", field_schema(doc, f));
            push(doc, params, param);
        }
    }
    return params;
}

static json_t *errors(struct document *doc) {
    json_t *list = json_array();
    for (const struct proto_error *e = proto_errors; e->code; e++) {
        json_t *error = json_object(), *data = json_object();
        put(doc, error, "code", json_integer(e->code));
        put(doc, error, "message", json_string(e->doc));
        put(doc, data, "name", json_string(e->name));
        put(doc, error, "data", data);
        push(doc, list, error);
    }
    return list;
}

static json_t *method_object(struct document *doc, const struct proto_method *m) {
    json_t *object = json_object();
    put(doc, object, "name", json_string(m->name));
    put(doc, object, "summary", json_string(m->doc));
    put(doc, object, "paramStructure", json_string("by-name"));
    put(doc, object, "params", method_params(doc, m));
    if (!m->result)
        return object;
    json_t *result = json_object();
    doc->result = true;
    put(doc, result, "name", json_string("result"));
    put(doc, result, "schema", type_schema(doc, m->result));
    put(doc, object, "result", result);
    put(doc, object, "errors", errors(doc));
    return object;
}

static json_t *method_list(struct document *doc, const struct proto_method *methods) {
    json_t *list = json_array();
    for (const struct proto_method *m = methods; m->name; m++)
        push(doc, list, method_object(doc, m));
    return list;
}

static json_t *info(struct document *doc, const char *version) {
    json_t *object = json_object(), *license = json_object();
    put(doc, object, "title", json_string("supd"));
    put(doc, object, "description",
        json_string("The control protocol of supd: JSON-RPC 2.0 over a UNIX stream socket."));
    put(doc, object, "version", json_string(version));
    put(doc, license, "name", json_string("MIT"));
    put(doc, object, "license", license);
    return object;
}

json_t *openrpc_document(const char *version) {
    struct document doc = {.components = json_object()};
    json_t *document = json_object(), *components = json_object();
    put(&doc, document, "openrpc", json_string("1.2.6"));
    put(&doc, document, "info", info(&doc, version));
    put(&doc, document, "methods", method_list(&doc, proto_methods));
    put(&doc, document, "x-notifications", method_list(&doc, proto_notifications));
    put(&doc, components, "schemas", TAKE_PTR(doc.components));
    put(&doc, document, "components", components);
    if (!doc.failed)
        return document;
    json_decref(document);
    return NULL;
}
