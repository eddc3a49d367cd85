"""Whether who reads by one JSON Schema takes everything that is written by another one; of what pydantic generates."""

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

# Enumerations to which values may be added: the protocol tells readers to pass over those that they do not know.
OPEN = frozenset({"updateType", "code"})
PROSE = frozenset({"description", "title", "default", "discriminator"})
# How a reader's bound may differ from a writer's: at least as low, or at least as high.
LOWER, UPPER = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems")


def inline(schema: Any, definitions: Json) -> Any:
    """The schema without prose, and with what its references lead to in their place: shapes do not contain themselves."""
    if isinstance(schema, list):
        return [inline(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inline(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    return {
        # The names of properties are not keywords, whatever they are called.
        name: {field: inline(inner, definitions) for field, inner in part.items()}
        if name == "properties"
        else inline(part, definitions)
        for name, part in schema.items()
        if name not in PROSE
    }


def refused(reader: Json, writer: Json, path: str = "") -> Iterator[str]:
    """What of the writer's values the reader would not take, or would miss; each with where it is."""
    for written in _choices(writer):
        complaints = [list(_refused(choice, written, path)) for choice in _choices(reader)]
        if all(complaints):
            yield from min(complaints, key=len)


def removed(old: Json, new: Json, path: str = "") -> Iterator[str]:
    """Fields that are no longer there."""
    inner = _choices(new)
    for choice in _choices(old):
        for name, field in choice.get("properties", {}).items():
            here = f"{path}.{name}" if path else name
            found = [part["properties"][name] for part in inner if name in part.get("properties", {})]
            if not found:
                yield f"{here} is removed"
            else:
                yield from removed(field, found[0], here)
        for part in ("items", "additionalProperties"):
            found = [i[part] for i in inner if isinstance(i.get(part), dict)]
            if isinstance(choice.get(part), dict) and found:
                yield from removed(choice[part], found[0], f"{path}[]")


def _choices(schema: Json) -> list[Json]:
    if "anyOf" in schema or "oneOf" in schema:
        return [choice for part in schema.get("anyOf") or schema["oneOf"] for choice in _choices(part)]
    return [schema]


def _refused(reader: Json, writer: Json, path: str) -> Iterator[str]:
    here = path or "it"
    kinds = {reader.get("type"), writer.get("type")}
    if "type" in reader and len(kinds) > 1 and kinds != {"number", "integer"}:
        yield f"{here} is {writer.get('type')}, not {reader['type']}"
        return
    if reader.get("type") == "integer" and writer.get("type") == "number":
        yield f"{here} is any number, not an integer"
    if path.rsplit(".", 1)[-1] not in OPEN:
        yield from _unknown_values(reader, writer, here)
    yield from _out_of_bounds(reader, writer, here)
    yield from _missing(reader, writer, path)
    for part in ("items", "additionalProperties"):
        if isinstance(reader.get(part), dict) and isinstance(writer.get(part), dict):
            yield from refused(reader[part], writer[part], f"{path}[]")


def _unknown_values(reader: Json, writer: Json, here: str) -> Iterator[str]:
    if (known := _values(reader)) is None:
        return
    if (possible := _values(writer)) is None:
        yield f"{here} may be anything, not only {_list(known)}"
    elif unknown := [value for value in possible if value not in known]:
        yield f"{here} may be {_list(unknown)}"


def _values(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _list(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _out_of_bounds(reader: Json, writer: Json, here: str) -> Iterator[str]:
    if _values(writer) is not None:
        return  # each value was looked at
    for bound in LOWER:
        if bound in reader and writer.get(bound, float("-inf")) < reader[bound]:
            yield f"{here}: {bound} is {writer.get(bound)}, not {reader[bound]}"
    for bound in UPPER:
        if bound in reader and writer.get(bound, float("inf")) > reader[bound]:
            yield f"{here}: {bound} is {writer.get(bound)}, not {reader[bound]}"
    for same in ("pattern", "format"):
        if same in reader and writer.get(same) != reader[same]:
            yield f"{here}: {same} is {writer.get(same)}, not {reader[same]}"


def _missing(reader: Json, writer: Json, path: str) -> Iterator[str]:
    written = writer.get("properties", {})
    for name, field in reader.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        if name in reader.get("required", ()) and name not in writer.get("required", ()):
            yield f"{here} may be missing" if name in written else f"{here} is missing"
        if name in written:
            yield from refused(field, written[name], here)
