"""The small schema validator finds what is wrong; otherwise the checks of all other tests would say nothing."""

import records
from jsonschema_min import Document, SchemaError, check

SETS = "any"
ROOT = {"components": {"schemas": {"Tree": {"type": "object", "properties": {
    "kids": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}, "additionalProperties": False}}}}

# schema, what fits, what doesn't
CASES = [
    ({"type": "integer"}, [0, -5, 42.0], [True, 1.5, "1", None]),
    ({"type": ["string", "null"]}, ["", None], [0, []]),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 10}, [0.1, 10], [0, 10.1, "5", float("inf")]),
    ({"minimum": 1}, [1, "text"], [0]),
    ({"type": "string", "pattern": "^a+$", "maxLength": 3}, ["a", "aaa"], ["", "b", "aaaa"]),
    ({"enum": ["a", 1, None]}, ["a", 1, None], [True, "b"]),
    ({"const": 5}, [5, 5.0], [6, "5"]),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}, [[True]], [[], [0], [True] * 3]),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
     [{"a": 1}], [{}, {"a": "1"}, {"a": 1, "b": 2}, []]),
    ({"type": "object", "additionalProperties": {"type": "string"}}, [{}, {"x": "y"}], [{"x": 1}]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, [1, 5.5], [1.5, 7]),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["x"]),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
    ({"not": {"type": "null"}}, [0], [None]),
    ({"$ref": "#/components/schemas/Tree"}, [{}, {"kids": [{"kids": []}]}], [{"kids": [{"leaf": 1}]}, {"kids": 1}]),
    ({"propertyNames": {"pattern": "^[a-z]+$"}}, [{"a": 1}], [{"A": 1}]),
    ({"uniqueItems": True}, [[1, 2, True]], [[1, 1]]),
    (True, [1, None], []),
    (False, [], [1, None]),
]


def fits(schema, value):
    try:
        check(schema, value, ROOT)
        return True
    except SchemaError:
        return False


def test_keywords():
    for schema, good, bad in CASES:
        for value in good:
            assert fits(schema, value), (schema, value)
        for value in bad:
            assert not fits(schema, value), (schema, value)


def test_unknown_keywords_and_broken_references_are_errors():
    for schema in ({"typo": 1}, {"$ref": "#/components/schemas/None"}, {"$ref": "http://elsewhere"}, 5):
        assert not fits(schema, 1), schema


def test_document_checks_params_and_results():
    document = Document({"methods": [{"name": "m", "params": [
        {"name": "a", "required": True, "schema": {"type": "integer"}}, {"name": "b", "schema": {"type": "string"}}],
        "result": {"name": "r", "schema": {"type": "object", "required": ["x"]}}}]})
    document.check_result("m", {"x": 1})
    document.check_params("m", {"a": 1, "b": None})
    for params in ({}, {"a": "1"}, {"a": 1, "b": 2}, {"a": 1, "c": 1}):
        try:
            document.check_params("m", params)
        except SchemaError:
            continue
        raise AssertionError(f"took {params}")


def test_document_checks_notifications():
    document = Document({"methods": [], "x-notifications": [
        {"name": "n", "params": [{"name": "a", "schema": {"type": "integer"}}]}]})
    document.check_notification("n", {"a": 1})
    for method, params in (("n", {}), ("n", {"a": "1"}), ("n", {"a": 1, "b": 2}), ("other", {"a": 1})):
        try:
            document.check_notification(method, params)
        except SchemaError:
            continue
        raise AssertionError(f"took {method} {params}")


def job(**more):
    stream = {"bytes": 0, "gaps": [], "eof": True}
    result = {"reason": "exited", "exit_code": 0, "signal": None, "core_dumped": False, "timed_out": False,
              "error": None, "killed_by": None, "usage": None, "survivors": [], "incomplete": False}
    record = {"id": 1, "name": None, "labels": {}, "owner": {"uid": 0, "user": "root"}, "argv": ["x"], "cwd": "/",
              "group": "default", "state": "final", "pid": 5, "attempt": 1, "ready": False, "created_at": 1.0,
              "started_at": 1.0, "ended_at": 2.0, "elapsed": 1.0,
              "deadlines": dict.fromkeys(("timeout", "idle_timeout", "cpu_timeout", "queue_timeout")),
              "result": result, "stdout": stream, "stderr": dict(stream)}
    record.update(more)
    return record


def test_records_that_contradict_themselves_are_found():
    records.check_all({"jobs": [job()]})
    good = job()["result"]
    wrong = [
        job(state="running"), job(result=None), job(ended_at=None), job(started_at=1.5, created_at=2.0),
        job(result={**good, "timed_out": True}), job(result={**good, "signal": "SIGTERM"}),
        job(result={**good, "reason": "killed"}), job(result={**good, "reason": "spawn_failed"}),
        job(result={k: v for k, v in good.items() if k != "survivors"}),
        job(stdout={"bytes": 5, "gaps": [[3, 2]], "eof": True}),
        job(stdout={"bytes": 5, "gaps": [[0, 6]], "eof": True}),
        job(stdout={"bytes": 5, "gaps": [], "eof": True, "data": "x"}),
        job(stdout={"bytes": 5, "gaps": [], "eof": True, "cut": [0, 1]}),
        {k: v for k, v in job().items() if k != "cwd"},
    ]
    for record in wrong:
        try:
            records.check_all([record])
        except AssertionError:
            continue
        raise AssertionError(f"found nothing wrong with {record}")
