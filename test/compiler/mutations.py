# SPDX-License-Identifier: Apache-2.0
"""Random changes of JSON that keep it well-formed: values of other types and sizes, parts that are missing, doubled or in
another's place. The same for the same seed. Standard library only."""
import copy
import json

VALUES = [None, True, False, 0, 1, -1, 2, 3, 7, 64, 65536, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -2**63, 2**63, 2**64,
          1e308, -1e308, 1e-320, 0.5, float("nan"), float("inf"), "", "x", "\0", "\u2581", "\ud800", "a" * 300, [], {}, [[]],
          [1], ["a", "b"], [None], {"a": 1}, [0] * 1000, "<s>", "ByteLevel", "Sequence", "llama3", "yarn", "gelu",
          "sliding_attention"]


def places(value, path=()):
    """The paths of all parts, of long lists those of the first elements."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 40)):
            yield from places(value[index], (*path, index))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def change(value, chance):
    """A copy of `value` with one part changed."""
    value = copy.deepcopy(value)
    everywhere = list(places(value))
    if not everywhere:
        return chance.choice(VALUES)
    depth = chance.choice((1, 2, 3, 9))
    path = chance.choice([p for p in everywhere if len(p) <= depth])
    parent, key = at(value, path[:-1]), path[-1]
    kind = chance.choice(("remove", "replace", "replace", "replace", "scale", "copy", "double"))
    if kind == "remove":
        del parent[key]
    elif kind == "scale" and type(parent[key]) in (int, float):
        parent[key] = parent[key] * chance.choice((2, -1, 3, 1000)) + chance.choice((0, 1, -1))
    elif kind == "copy":
        parent[key] = copy.deepcopy(at(value, chance.choice(everywhere)))
    elif kind == "double" and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    else:
        parent[key] = copy.deepcopy(chance.choice(VALUES))
    return value


def mutated(text, chance):
    """The bytes of a file that `text` was changed to, seldom no JSON any more."""
    value = json.loads(text)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        value = change(value, chance)
    out = json.dumps(value).encode("utf-8", "surrogatepass")
    if chance.random() < 0.05:
        out = out[:chance.randrange(len(out) + 1)]
    return out
