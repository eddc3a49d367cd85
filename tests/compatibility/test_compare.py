"""The comparison finds what would break a reader, and nothing else."""

from copy import deepcopy
from typing import Any

import pytest

from tests.compatibility.compare import inline, refused, removed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 64},
        "seq": {"type": "integer", "minimum": 0},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "updateType": {"type": "string", "enum": ["created"]},
        "type": {"type": "string", "const": "thing"},
        "avatar": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "at": {"type": "string", "format": "date-time"},
        "users": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "marks": {"type": "object", "additionalProperties": {"type": "integer"}},
        "note": {"type": "string"},
    },
    "required": ["id", "seq", "kind", "updateType", "type", "avatar", "at", "users", "marks"],
}


def changed(*path: str, **fields: Any) -> dict[str, Any]:
    """The schema with other keywords in one place; None takes one away."""
    schema = deepcopy(SCHEMA)
    place = schema
    for step in path:
        place = place[step]
    place.update(fields)
    for name in [name for name, value in fields.items() if value is None]:
        del place[name]
    return schema


NARROWER = {
    "a new required field": changed(required=[*SCHEMA["required"], "note"]),
    "a shorter text": changed("properties", "id", maxLength=10),
    "a longer least": changed("properties", "id", minLength=2),
    "a new bound": changed("properties", "note", maxLength=10),
    "a higher least": changed("properties", "seq", minimum=1),
    "fewer values": changed("properties", "kind", enum=["a"]),
    "values at all": changed("properties", "note", enum=["a"]),
    "another type": changed("properties", "seq", type="string"),
    "no null": changed("properties", avatar={"type": "string"}),
    "another constant": changed("properties", "type", const="other"),
    "a pattern": changed("properties", "note", pattern="^x"),
    "a format": changed("properties", "note", format="date-time"),
    "within a list": changed("properties", "users", "items", "properties", name={"type": "integer"}),
    "within an object": changed("properties", "marks", additionalProperties={"type": "string"}),
}
REMOVED = {
    "a field": changed("properties", note=None),
    "a renamed one": changed("properties", note=None, remark={"type": "string"}),
    "within a list": changed("properties", "users", "items", "properties", name=None),
}
ADDED = {
    "nothing": SCHEMA,
    "an optional field": changed("properties", more={"type": "string"}),
    "a value of an open enumeration": changed("properties", "updateType", enum=["created", "deleted"]),
    "prose": changed(description="new words"),
}


DIFFERENT = {"another type", "another constant", "within a list", "within an object"}


@pytest.mark.parametrize("narrower", NARROWER.values(), ids=NARROWER)
def test_a_narrower_reader_refuses(narrower: dict[str, Any]) -> None:
    assert len(list(refused(reader=narrower, writer=SCHEMA))) == 1


@pytest.mark.parametrize("name", sorted(NARROWER.keys() - DIFFERENT))
def test_a_wider_reader_does_not(name: str) -> None:
    assert list(refused(reader=SCHEMA, writer=NARROWER[name])) == []


@pytest.mark.parametrize("smaller", REMOVED.values(), ids=REMOVED)
def test_a_removed_field_is_found(smaller: dict[str, Any]) -> None:
    assert len(list(removed(SCHEMA, smaller))) == 1


@pytest.mark.parametrize("added", ADDED.values(), ids=ADDED)
def test_what_is_added_breaks_nobody(added: dict[str, Any]) -> None:
    assert list(removed(SCHEMA, added)) == []
    assert list(refused(reader=SCHEMA, writer=added)) == []
    assert list(refused(reader=added, writer=SCHEMA)) == []


def test_references_and_prose_are_resolved_and_properties_of_such_names_stay() -> None:
    schema = {"title": "T", "properties": {"title": {"$ref": "#/$defs/Title"}, "description": {"type": "string"}}}
    assert inline(schema, {"Title": {"type": "string", "description": "words"}}) == {
        "properties": {"title": {"type": "string"}, "description": {"type": "string"}}
    }
