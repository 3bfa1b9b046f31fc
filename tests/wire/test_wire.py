"""The wire corpus: each NAME.jsonl holds the lines that are sent, NAME.expect what must come back.

y_ is taken, n_ is refused, and then nothing has happened. In .expect: `replies`, a pattern for each answer, in any
order; `expand`, words of the lines and patterns that stand for a text repeated so often. A pattern's object must be
there with at least its members, an array with just its items (those of a batch in any order), all else as it is;
{"$any": true} is anything, {"$in": [...]} one of these, {"$prefix": "x"} a text that begins so.
"""

import json
import os

from harness import Daemon

SETS = "any"
HERE = os.path.dirname(os.path.abspath(__file__))


def expanded(value, words):
    if isinstance(value, str):
        for word, (text, count) in words.items():
            value = value.replace(word, text * count)
        return value
    if isinstance(value, list):
        return [expanded(item, words) for item in value]
    if isinstance(value, dict):
        return {name: expanded(member, words) for name, member in value.items()}
    return value


def fits_object(pattern, value):
    if "$any" in pattern:
        return True
    if "$in" in pattern:
        return any(fits(choice, value) for choice in pattern["$in"])
    if "$prefix" in pattern:
        return isinstance(value, str) and value.startswith(pattern["$prefix"])
    return isinstance(value, dict) and all(name in value and fits(member, value[name])
                                           for name, member in pattern.items())


def fits(pattern, value):
    if isinstance(pattern, dict):
        return fits_object(pattern, value)
    if isinstance(pattern, list):
        return isinstance(value, list) and len(pattern) == len(value) and pair_off(pattern, value) is None
    return type(pattern) is type(value) and pattern == value


def pair_off(patterns, values):
    """None where each pattern has a value of its own that fits; else the pattern that hasn't."""
    left = list(values)
    for pattern in patterns:
        found = next((value for value in left if fits(pattern, value)), left)
        if found is left:
            return pattern
        left.remove(found)
    return None


def case(name):
    def test():
        with open(os.path.join(HERE, name + ".expect"), encoding="utf-8") as file:
            expect = json.load(file)
        words = expect.get("expand", {})
        replies = expanded(expect["replies"], words)
        with open(os.path.join(HERE, name + ".jsonl"), "rb") as file:
            lines = file.read()
        for word, (text, count) in words.items():
            lines = lines.replace(word.encode(), text.encode() * count)
        with Daemon() as daemon:
            client = daemon.client()
            client.last_id = 1_000_000  # its own ids are not those of the corpus
            client.send_raw(lines)
            got = [client.recv() for _ in replies]
            missing = pair_off(replies, got)
            assert missing is None, f"nothing like {missing}\nin {got}"
            assert client.call("daemon.info")["name"] == "supd"  # and nothing more than that
            if name.startswith("n_"):
                assert daemon.client().call("job.list")["jobs"] == [], "refused, but a job was made"
    return test


for _file in sorted(os.listdir(HERE)):
    if _file.endswith(".jsonl"):
        globals()["test_" + _file[:-6]] = case(_file[:-6])
