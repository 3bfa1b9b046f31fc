"""A small JSON Schema validator: the keywords that an OpenRPC document of supd may use, and no others.

A keyword that it doesn't know is an error, so that no rule is passed over in silence.
"""

import math
import re

ANNOTATIONS = {"title", "description", "default", "examples", "deprecated", "$schema", "format", "contentEncoding"}


class SchemaError(AssertionError):
    """The value breaks the schema, or the schema itself is no schema."""


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: is_number(value) and math.isfinite(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def same(a, b):
    """Equal as JSON values: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return type(a) is type(b) and a == b if not is_number(a) else is_number(b) and a == b


def resolve(root, reference):
    """What a reference within the document, such as #/components/schemas/Job, stands for."""
    if not reference.startswith("#"):
        raise SchemaError(f"$ref {reference!r} leads out of the document")
    node = root
    for part in [p for p in reference[1:].split("/") if p]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or key not in node:
            raise SchemaError(f"$ref {reference!r} leads nowhere")
        node = node[key]
    return node


def fail(path, why, value):
    shown = repr(value)
    raise SchemaError(f"{path or 'value'}: {why}: {shown[:200]}{'…' if len(shown) > 200 else ''}")


def check_type(wanted, value, root, path, schema):
    names = [wanted] if isinstance(wanted, str) else wanted
    if not any(TYPES[name](value) for name in names):
        fail(path, "is not of type " + " or ".join(names), value)


def check_bound(limit, value, path, holds, words):
    if is_number(value) and not holds(value, limit):
        fail(path, f"is not {words} {limit}", value)


def check_size(limit, value, path, kind, holds, words):
    if isinstance(value, kind) and not holds(len(value), limit):
        fail(path, f"has not {words} {limit}", value)


def check_properties(properties, value, root, path, schema):
    if isinstance(value, dict):
        for name, sub in properties.items():
            if name in value:
                check(sub, value[name], root, f"{path}.{name}")


def check_additional(rule, value, root, path, schema):
    if not isinstance(value, dict):
        return
    patterns = schema.get("patternProperties", {})
    for name, member in value.items():
        if name in schema.get("properties", {}) or any(re.search(p, name) for p in patterns):
            continue
        if rule is False:
            fail(path, f"has the unknown member {name!r}", value)
        check(rule, member, root, f"{path}.{name}")


def check_pattern_properties(patterns, value, root, path, schema):
    if isinstance(value, dict):
        for pattern, sub in patterns.items():
            for name, member in value.items():
                if re.search(pattern, name):
                    check(sub, member, root, f"{path}.{name}")


def check_required(names, value, root, path, schema):
    if isinstance(value, dict):
        for name in names:
            if name not in value:
                fail(path, f"lacks the member {name!r}", value)


def check_items(rule, value, root, path, schema):
    if isinstance(value, list):
        start = len(schema.get("prefixItems", []))
        for i, item in enumerate(value[start:], start):
            check(rule, item, root, f"{path}[{i}]")


def check_prefix_items(rules, value, root, path, schema):
    if isinstance(value, list):
        for i, (sub, item) in enumerate(zip(rules, value)):
            check(sub, item, root, f"{path}[{i}]")


def matches(schema, value, root, path):
    try:
        check(schema, value, root, path)
    except SchemaError as error:
        return error
    return None


def check_any(schemas, value, root, path, schema):
    reasons = [matches(sub, value, root, path) for sub in schemas]
    if None not in reasons:
        fail(path, "fits none of its schemas (" + "; ".join(str(r) for r in reasons) + ")", value)


def check_one(schemas, value, root, path, schema):
    reasons = [matches(sub, value, root, path) for sub in schemas]
    fits = reasons.count(None)
    if fits != 1:
        why = "; ".join(str(r) for r in reasons if r)
        fail(path, f"fits {fits} of its schemas instead of one ({why})", value)


def check_all(schemas, value, root, path, schema):
    for sub in schemas:
        check(sub, value, root, path)


def check_not(sub, value, root, path, schema):
    if matches(sub, value, root, path) is None:
        fail(path, "fits what it must not", value)


def check_enum(values, value, root, path, schema):
    if not any(same(value, allowed) for allowed in values):
        fail(path, f"is none of {values}", value)


def check_const(constant, value, root, path, schema):
    if not same(value, constant):
        fail(path, f"is not {constant!r}", value)


def check_pattern(pattern, value, root, path, schema):
    if isinstance(value, str) and not re.search(pattern, value):
        fail(path, f"does not match {pattern}", value)


def check_property_names(sub, value, root, path, schema):
    if isinstance(value, dict):
        for name in value:
            check(sub, name, root, f"{path}.{name} (its name)")


def check_unique(wanted, value, root, path, schema):
    if wanted and isinstance(value, list):
        if any(same(a, b) for i, a in enumerate(value) for b in value[:i]):
            fail(path, "holds an item twice", value)


def bound(holds, words):
    return lambda limit, value, root, path, schema: check_bound(limit, value, path, holds, words)


def size(kind, holds, words):
    return lambda limit, value, root, path, schema: check_size(limit, value, path, kind, holds, words)


def at_least(a, b):
    return a >= b


def at_most(a, b):
    return a <= b


KEYWORDS = {
    "$ref": lambda reference, value, root, path, schema: check(resolve(root, reference), value, root, path),
    "type": check_type,
    "properties": check_properties,
    "patternProperties": check_pattern_properties,
    "additionalProperties": check_additional,
    "propertyNames": check_property_names,
    "required": check_required,
    "items": check_items,
    "prefixItems": check_prefix_items,
    "anyOf": check_any,
    "oneOf": check_one,
    "allOf": check_all,
    "not": check_not,
    "enum": check_enum,
    "const": check_const,
    "pattern": check_pattern,
    "uniqueItems": check_unique,
    "minimum": bound(at_least, "at least"),
    "maximum": bound(at_most, "at most"),
    "exclusiveMinimum": bound(lambda a, b: a > b, "above"),
    "exclusiveMaximum": bound(lambda a, b: a < b, "below"),
    "minLength": size(str, at_least, "a length of at least"),
    "maxLength": size(str, at_most, "a length of at most"),
    "minItems": size(list, at_least, "a number of items of at least"),
    "maxItems": size(list, at_most, "a number of items of at most"),
    "minProperties": size(dict, at_least, "a number of members of at least"),
    "maxProperties": size(dict, at_most, "a number of members of at most"),
}


def check(schema, value, root, path=""):
    """Raises SchemaError where `value` breaks `schema`, whose references point into `root`."""
    if schema is True:
        return
    if schema is False:
        fail(path, "must not be there", value)
    if not isinstance(schema, dict):
        raise SchemaError(f"{path}: {schema!r} is no schema")
    for keyword, argument in schema.items():
        if keyword in KEYWORDS:
            KEYWORDS[keyword](argument, value, root, path, schema)
        elif keyword not in ANNOTATIONS and not keyword.startswith("x-"):
            raise SchemaError(f"{path}: the keyword {keyword!r} is not known here")


class Document:
    """An OpenRPC document, as rpc.discover answers it: what a call and its result must look like."""

    def __init__(self, document):
        self.root = document
        self.methods = {method["name"]: method for method in document["methods"]}

    def check_result(self, method, result):
        check(self.methods[method]["result"]["schema"], result, self.root, method)

    def check_params(self, method, params):
        """Params that the daemon took: the document must allow them. Null means absent."""
        known = {param["name"]: param for param in self.methods[method]["params"]}
        for name, value in params.items():
            if name not in known:
                raise SchemaError(f"{method}: took the param {name!r}, which the document lacks")
            if value is not None:
                check(known[name]["schema"], value, self.root, f"{method}({name})")
        for name, param in known.items():
            if param.get("required") and params.get(name) is None:
                raise SchemaError(f"{method}: went without the required param {name!r}")

    def check_notification(self, method, params):
        """What the daemon sends of its own accord, as the document's extension describes it."""
        for described in self.root.get("x-notifications", []):
            if described["name"] == method:
                members = {param["name"]: param["schema"] for param in described["params"]}
                always = sorted(param["name"] for param in described["params"] if param.get("required", True))
                check({"type": "object", "properties": members, "required": always,
                       "additionalProperties": False}, params, self.root, method)
                return
        raise SchemaError(f"the document knows no notification {method}")
