// The tables as an OpenRPC document: each named type once under components, references elsewhere.
#include "common/openrpc.h"

#include "common/proto.h"
#include "common/util.h"

static json_t *type_schema(const struct proto_type *type, json_t *components, bool result);

static json_t *number_schema(const struct proto_type *type) {
    json_t *schema = json_pack("{s:s}", "type", type->kind == PK_INT ? "integer" : "number");
    const char *low = type->above ? "exclusiveMinimum" : "minimum";
    if (type->min > -9e18)
        json_object_set_new(schema, low, json_integer((json_int_t)type->min));
    if (type->max < 9e18)
        json_object_set_new(schema, "maximum", json_integer((json_int_t)type->max));
    else if (type->kind == PK_INT)
        json_object_set_new(schema, "maximum", json_integer(PROTO_INT_MAX));
    return schema;
}

static json_t *string_schema(const struct proto_type *type) {
    json_t *schema = json_pack("{s:s}", "type", "string");
    if (type->min > 0)
        json_object_set_new(schema, "minLength", json_integer((json_int_t)type->min));
    if (type->pattern)
        json_object_set_new(schema, "pattern", json_string(type->pattern));
    return schema;
}

static json_t *enum_schema(const struct proto_type *type) {
    json_t *values = json_array();
    for (const char *const *v = type->values; *v; v++)
        json_array_append_new(values, json_string(*v));
    return json_pack("{s:s,s:o}", "type", "string", "enum", values);
}

static json_t *array_schema(const struct proto_type *type, json_t *components, bool result) {
    json_t *schema = json_pack("{s:s,s:o}", "type", "array", "items", type_schema(type->item, components, result));
    if (type->min > 0)
        json_object_set_new(schema, "minItems", json_integer((json_int_t)type->min));
    return schema;
}

static json_t *nullable(json_t *schema) {
    return json_pack("{s:[o,{s:s}]}", "anyOf", schema, "type", "null");
}

static json_t *field_schema(const struct proto_field *f, json_t *components, bool result) {
    json_t *schema = type_schema(f->type, components, result);
    if ((f->flags & PF_NULL) || (!result && !(f->flags & PF_REQUIRED)))
        schema = nullable(schema);
    if (!schema || json_object_get(schema, "$ref"))
        return schema; // beside a $ref nothing else counts
    if (f->doc)
        json_object_set_new(schema, "description", json_string(f->doc));
    if (f->fallback && !result)
        json_object_set_new(schema, "default", json_loads(f->fallback, JSON_DECODE_ANY, NULL));
    if (f->flags & PF_LATER)
        json_object_set_new(schema, "x-unsupported", json_true());
    return schema;
}

static json_t *object_schema(const struct proto_type *type, json_t *components, bool result) {
    json_t *properties = json_object(), *required = json_array();
    for (const struct proto_field *f = type->fields; f->name; f++) {
        json_object_set_new(properties, f->name, field_schema(f, components, result));
        if (result ? !(f->flags & PF_OPTIONAL) : f->flags & PF_REQUIRED)
            json_array_append_new(required, json_string(f->name));
    }
    json_t *schema = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (json_array_size(required) > 0)
        json_object_set_new(schema, "required", required);
    else
        json_decref(required);
    return schema;
}

static json_t *bare_schema(const struct proto_type *type, json_t *components, bool result) {
    switch (type->kind) {
    case PK_ANY:
        return json_object();
    case PK_NULL:
        return json_pack("{s:s}", "type", "null");
    case PK_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case PK_INT:
    case PK_NUMBER:
        return number_schema(type);
    case PK_STRING:
        return string_schema(type);
    case PK_ENUM:
        return enum_schema(type);
    case PK_ARRAY:
        return array_schema(type, components, result);
    case PK_MAP: {
        json_t *item = type_schema(type->item, components, result);
        return json_pack("{s:s,s:o}", "type", "object", "additionalProperties",
                         type->null_items ? nullable(item) : item);
    }
    case PK_OBJECT:
        return object_schema(type, components, result);
    case PK_ONEOF: {
        json_t *any = json_array();
        for (const struct proto_type *const *t = type->any; *t; t++)
            json_array_append_new(any, type_schema(*t, components, result));
        return json_pack("{s:o}", "anyOf", any);
    }
    }
    return NULL;
}

static json_t *type_schema(const struct proto_type *type, json_t *components, bool result) {
    if (type->name && !json_object_get(components, type->name)) {
        json_object_set_new(components, type->name, json_object()); // reserves the name for what refers to itself
        json_t *schema = bare_schema(type, components, result);
        if (type->doc)
            json_object_set_new(schema, "description", json_string(type->doc));
        json_object_set_new(components, type->name, schema);
    }
    if (type->name)
        return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", type->name));
    return bare_schema(type, components, result);
}

static json_t *method_params(const struct proto_method *m, json_t *components, bool result) {
    const struct proto_field *lists[4];
    proto_method_lists(m, lists);
    json_t *params = json_array();
    for (size_t i = 0; lists[i]; i++)
        for (const struct proto_field *f = lists[i]; f->name; f++)
            json_array_append_new(params,
                                  json_pack("{s:s,s:s,s:b,s:o}", "name", f->name, "description", f->doc, "required",
                                            (f->flags & PF_REQUIRED) != 0, "schema",
                                            field_schema(f, components, result)));
    return params;
}

static json_t *errors(void) {
    json_t *list = json_array();
    for (const struct proto_error *e = proto_errors; e->code; e++)
        json_array_append_new(list, json_pack("{s:i,s:s,s:{s:s}}", "code", e->code, "message", e->doc, "data", "name",
                                              e->name));
    return list;
}

static json_t *method_object(const struct proto_method *m, json_t *components, json_t *all_errors) {
    json_t *o = json_pack("{s:s,s:s,s:s,s:o}", "name", m->name, "summary", m->doc, "paramStructure", "by-name",
                          "params", method_params(m, components, m->result == NULL));
    if (m->result)
        json_object_set_new(o, "result",
                            json_pack("{s:s,s:o}", "name", "result", "schema", type_schema(m->result, components, true)));
    if (m->result)
        json_object_set(o, "errors", all_errors);
    return o;
}

json_t *openrpc_document(const char *version) {
    json_t *components = json_object(), *methods = json_array(), *notifications = json_array();
    json_t *all_errors = errors();
    for (const struct proto_method *m = proto_methods; m->name; m++)
        json_array_append_new(methods, method_object(m, components, all_errors));
    for (const struct proto_method *m = proto_notifications; m->name; m++)
        json_array_append_new(notifications, method_object(m, components, all_errors));
    json_decref(all_errors);
    return json_pack("{s:s,s:{s:s,s:s,s:s,s:{s:s}},s:o,s:o,s:{s:o}}", "openrpc", "1.2.6", "info", "title", "supd",
                     "description", "The control protocol of supd: JSON-RPC 2.0 over a UNIX stream socket.", "version",
                     version, "license", "name", "MIT", "methods", methods, "x-notifications", notifications,
                     "components", "schemas", components);
}
