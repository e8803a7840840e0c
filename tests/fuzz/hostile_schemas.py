"""Writer schemas that a hostile registry might hold: of the right shape, and of no sense."""

import copy
import random
from typing import Any

DEPTHS = (3, 7, 8, 9, 20, 100, 200)


def mutated_schema(schema: dict[str, Any], rng: random.Random) -> Any:
    """Return the schema with one to three of its types, names or structures changed."""
    changed = copy.deepcopy(schema)
    for _ in range(rng.randint(1, 3)):
        fields = rng.choice(_records(changed))["fields"]
        match rng.randrange(8):
            case 0 | 1 | 2 if fields:
                rng.choice(fields)["type"] = _any_type(rng)
            case 3:
                fields.insert(
                    rng.randrange(len(fields) + 1), {"name": f"f{rng.randrange(99)}", "type": _any_type(rng)}
                )
            case 4 if fields:
                fields.pop(rng.randrange(len(fields)))
            case 5:
                rng.shuffle(fields)
            case 6 if fields:
                field = rng.choice(fields)
                field[rng.choice(("name", "type", "default"))] = rng.choice(
                    (None, 7, "", "9 x", [], {}, "\x00", True)
                )
            case _:
                _spoiled(rng.choice(_records(changed)), rng)
    return changed


def _records(schema: Any) -> list[dict[str, Any]]:
    """Return the records of a schema that still has some, itself first."""
    found = [schema]
    for field in schema["fields"]:
        inner = field.get("type") if isinstance(field, dict) else None
        items = inner.get("items") if isinstance(inner, dict) else None
        if isinstance(items, dict) and isinstance(items.get("fields"), list):
            found.append(items)
    return [record for record in found if all(isinstance(field, dict) for field in record["fields"])] or [
        {"fields": []}
    ]


def _spoiled(record: dict[str, Any], rng: random.Random) -> None:
    key = rng.choice(("name", "type", "namespace"))
    if rng.random() < 0.5:
        record.pop(key, None)
    else:
        record[key] = rng.choice((None, 7, "", "a b", "record", "array", ["record"], "x" * 10_000))


def _any_type(rng: random.Random) -> Any:
    name = f"N{rng.randrange(50)}"
    plain = ("null", "boolean", "int", "long", "float", "double", "string", "bytes")
    return rng.choice(
        (
            lambda: rng.choice(plain),
            lambda: ["null", rng.choice(plain)],
            lambda: rng.sample(plain, rng.randint(0, 4)),
            lambda: {"type": "array", "items": rng.choice((*plain, {"type": "record", "name": name, "fields": []}))},
            lambda: {"type": "array", "items": {"type": "array", "items": rng.choice(plain)}},
            lambda: {"type": "map", "values": rng.choice(plain)},
            lambda: {"type": "fixed", "name": name, "size": rng.choice((0, 4, 2**31, -1))},
            lambda: {"type": "enum", "name": name, "symbols": rng.choice((["A", "B"], [], ["A", "A"], "A", [1]))},
            lambda: {"type": "bytes", "logicalType": "decimal", "precision": rng.choice((4, 400)), "scale": 2},
            lambda: {"type": "string", "logicalType": "uuid"},
            lambda: {"type": "int", "logicalType": "date"},
            lambda: {"type": "long", "logicalType": "timestamp-micros"},
            lambda: ["null", _wide_record(name, rng.choice((2, 500)))],
            lambda: {"type": "array", "items": ["null", _wide_record(name, 500)]},
            lambda: _nested(rng.choice(DEPTHS), rng.choice(("array", "map", "record", "union"))),
            lambda: _recursive(name),
            lambda: rng.choice(("DiaSourceBatch", "dia_source_batch", "Unknown", 7, None, {}, [])),
        )
    )()


def _wide_record(name: str, n_fields: int) -> dict[str, Any]:
    fields = [{"name": f"c{index}", "type": ["null", "double"]} for index in range(n_fields)]
    return {"type": "record", "name": name, "fields": fields}


def _recursive(name: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": "next", "type": ["null", name]}]}


def _nested(depth: int, kind: str) -> Any:
    nested: Any = "long"
    for level in range(depth):
        nested = {
            "array": {"type": "array", "items": nested},
            "map": {"type": "map", "values": nested},
            "record": {"type": "record", "name": f"D{level}", "fields": [{"name": "x", "type": nested}]},
            "union": ["null", nested],
        }[kind]
    return nested
