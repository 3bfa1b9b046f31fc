#!/usr/bin/env python3
"""Prints the protocol's page from what `supd --describe` says. protocol_page.py SUPD [--check PAGE]

With --check: says whether PAGE is what would be printed.
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


def type_of(schema):
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " \\| ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(type_of(each) for each in schema[key])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(f"{name}: {type_of(each)}" for name, each in schema["properties"].items()) + "}"
    return kind


def param_type(param):
    """Null is as good as absent for every param: not worth a word."""
    schema = param["schema"]
    if "anyOf" in schema:
        rest = [each for each in schema["anyOf"] if each != {"type": "null"}]
        return " or ".join(type_of(each) for each in rest)
    return type_of(schema)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def params_table(params):
    yield row(["param", "type", "default", "meaning"])
    yield "|---|---|---|---|"
    for param in params:
        default = param["schema"].get("default")
        shown = "**required**" if param.get("required") else f"`{json.dumps(default)}`" if default is not None else ""
        meaning = param.get("description", "")
        if param.get("x-unsupported") or param["schema"].get("x-unsupported"):
            meaning += " (refused as unsupported)"
        yield row([f"`{param['name']}`", param_type(param), shown, meaning])


def schema_lines(name, schema):
    yield f"### {name}"
    yield ""
    if schema.get("description"):
        yield schema["description"]
        yield ""
    if not schema.get("properties"):
        yield type_of(schema)
        for key, word in (("pattern", "pattern"), ("minimum", "at least"), ("exclusiveMinimum", "above"),
                          ("maximum", "at most")):
            if key in schema:
                yield f"- {word} `{schema[key]}`"
    else:
        yield row(["field", "type", "meaning"])
        yield "|---|---|---|"
        required = schema.get("required", [])
        for field, each in schema["properties"].items():
            optional = "" if field in required else " (not always there)"
            yield row([f"`{field}`", type_of(each), each.get("description", "") + optional])
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
        yield f"Result: {type_of(method['result']['schema'])}"
        yield ""
    yield "## Notifications"
    yield ""
    for note in document["x-notifications"]:
        yield f"### {note['name']} (notification)"
        yield ""
        yield note["summary"]
        yield ""
        yield from params_table(note["params"])
        yield ""
    yield "## Spec"
    yield ""
    yield from params_table(spec)
    yield ""
    yield "## Types"
    yield ""
    for name, schema in document["components"]["schemas"].items():
        yield from schema_lines(name, schema)
    yield "## Errors"
    yield ""
    yield row(["code", "name", "meaning"])
    yield "|---|---|---|"
    for error in document["methods"][0]["errors"]:
        yield row([str(error["code"]), f"`{error['data']['name']}`", error["message"]])


def main():
    supd, *rest = sys.argv[1:]
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
