#!/usr/bin/env python3
"""Prints the protocol's page from what `supd --describe` says. protocol_page.py SUPD|- [--check PAGE]

With - the document comes on stdin. With --check: says whether PAGE is what would be printed.
"""

import json
import subprocess
import sys

INTRODUCTION = """# The protocol

Made from the tables that check and dispatch the calls (`supd --describe`); do not edit.

JSON-RPC 2.0 over a UNIX stream socket, one message a line: UTF-8 JSON, ended by `\\n`. Batches and notifications included;
params are by name only. Requests take effect in the order sent, answers come as they are ready. A null param means absent,
except in `env`. Durations are seconds, sizes bytes, instants seconds since the epoch, signals names such as `"SIGTERM"`.
An unknown, missing, wrongly typed or out-of-range param is refused before anything happens: `data.field` names it by its
path, `data.why` says what is wrong.
"""


HUGE = 10 ** 15  # bounds beyond it are those of the number, not of the thing


def bounds(schema):
    """What a value of the type may be, in a few words that follow the type's."""
    words = [f"{word} {schema[key]}"
             for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
             if key in schema and abs(schema[key]) < HUGE and not (key == "minimum" and schema[key] == 0)]
    if schema.get("minLength") or schema.get("minItems"):
        words.append("not empty")
    return ", " + " ".join(words) if words else ""


def type_of(schema):
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " \\| ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(type_of(each) for each in schema[key])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {type_of(schema.get('items', {}))}{bounds(schema)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    if kind == "object":
        return "object" if schema.get("properties") else "`{}`"
    return kind + bounds(schema)


def not_null(schema):
    """For params, where null is as good as absent and not worth a word."""
    rest = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if not rest:
        return schema
    return rest[0] if len(rest) == 1 else {"anyOf": rest}


def parts_of(schema):
    """The object written in place in a schema, be it one of several types or the items of an array, or None."""
    if schema.get("properties"):
        return schema
    if "items" in schema:
        return parts_of(schema["items"])
    for each in schema.get("anyOf", []):
        if each.get("properties"):
            return each
    return None


def row(cells):
    return "| " + " | ".join(cells) + " |"


def param_rows(name, schema, required, meaning):
    """A param, and what it is made of unless it is refused anyhow."""
    later = schema.get("x-unsupported", False)
    default = schema.get("default")
    shown = "**required**" if required else "" if default is None else f"`{json.dumps(default)}`"
    bare = not_null(schema)
    yield row([f"`{name}`", type_of(bare), shown, meaning + (" (refused as unsupported)" if later else "")])
    if parts_of(bare) and not later:
        yield from object_rows(name + ".", parts_of(bare))


def object_rows(prefix, schema):
    for field, each in schema["properties"].items():
        yield from param_rows(prefix + field, each, field in schema.get("required", []), each.get("description", ""))


PARAM_HEAD = (row(["param", "type", "default", "meaning"]), "|---|---|---|---|")


def params_table(params):
    yield from PARAM_HEAD
    for param in params:
        yield from param_rows(param["name"], param["schema"], param.get("required"), param.get("description", ""))


def field_rows(prefix, schema):
    for field, each in schema["properties"].items():
        optional = "" if field in schema.get("required", []) else " (not always there)"
        yield row([f"`{prefix}{field}`", type_of(each), (each.get("description", "") + optional).strip()])
        inner = parts_of(each)
        if inner:
            yield from field_rows(f"{prefix}{field}.", inner)


def fields_table(schema):
    yield row(["field", "type", "meaning"])
    yield "|---|---|---|"
    yield from field_rows("", schema)


def result_lines(schema):
    if schema.get("properties"):
        yield "Result:"
        yield ""
        yield from fields_table(schema)
    else:
        yield f"Result: {type_of(schema)}"
    yield ""


def references(value):
    """The names of the types that a part of the document refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rsplit("/", 1)[1]
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from references(each)


def types_of_params(document):
    """The names of the types that params are made of: null is as good as absent in them, and they have defaults."""
    schemas = document["components"]["schemas"]
    found, ahead = set(), set(references([method["params"] for method in document["methods"]]))
    while ahead:
        found |= ahead
        ahead = set(references([schemas[name] for name in ahead])) - found
    return found


def type_lines(name, schema, of_params):
    yield f"### {name}"
    yield ""
    if schema.get("description"):
        yield schema["description"]
        yield ""
    if not schema.get("properties"):
        yield type_of(schema) + (f", pattern `{schema['pattern']}`" if "pattern" in schema else "")
        yield ""
    parts = parts_of(schema)
    if parts and of_params:
        yield from PARAM_HEAD
        yield from object_rows("", parts)
    elif parts:
        yield from fields_table(parts)
    if parts:
        yield ""


def page(document):
    yield INTRODUCTION
    yield "## Methods"
    yield ""
    spec = next(method["params"] for method in document["methods"] if method["name"] == "job.start")
    spec_names = [param["name"] for param in spec]
    for method in document["methods"]:
        yield f"### {method['name']}"
        yield ""
        yield method["summary"]
        yield ""
        has_spec = any(param["name"] == "argv" for param in method["params"])
        own = [param for param in method["params"] if not (has_spec and param["name"] in spec_names)]
        if len(own) != len(method["params"]):
            yield "The [spec](#spec)" + (", and:" if own else ".")
            yield ""
        if own:
            yield from params_table(own)
            yield ""
        yield from result_lines(method["result"]["schema"])
    yield "## Notifications"
    yield ""
    for note in document["x-notifications"]:
        yield f"### {note['name']} (notification)"
        yield ""
        yield note["summary"]
        yield ""
        yield from fields_table({"properties": {param["name"]: {"description": param["description"], **param["schema"]}
                                                for param in note["params"]},
                                 "required": [param["name"] for param in note["params"] if param["required"]]})
        yield ""
    yield "## Spec"
    yield ""
    yield from params_table(spec)
    yield ""
    yield "## Types"
    yield ""
    of_params = types_of_params(document)
    for name, schema in document["components"]["schemas"].items():
        yield from type_lines(name, schema, name in of_params)
    yield "## Errors"
    yield ""
    yield row(["code", "name", "meaning"])
    yield "|---|---|---|"
    for error in document["methods"][0]["errors"]:
        yield row([str(error["code"]), f"`{error['data']['name']}`", error["message"]])


def main():
    if len(sys.argv) not in (2, 4) or sys.argv[2:3] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    supd, *rest = sys.argv[1:]
    if supd == "-":
        document = json.load(sys.stdin)
    else:
        document = json.loads(subprocess.run([supd, "--describe"], capture_output=True, check=True).stdout)
    text = "\n".join(page(document)).rstrip() + "\n"
    if not rest:
        sys.stdout.write(text)
        return 0
    with open(rest[1], encoding="utf-8") as file:
        same = file.read() == text
    print("protocol page: " + ("ok" if same else f"{rest[1]} is stale: tests/protocol_page.py {supd} >{rest[1]}"))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
