"""Walks JSON schemas: where a body has fields, so that something else can be put into each of them."""

import copy
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]
KEYS = "*"  # in a path: a name that the sender chooses
SAMPLES = ("x", "/", "https://example.com/", "22:00", "B" + "A" * 86, "A" * 22)


class Schema:
    """One schema of a document, with what it refers to."""

    def __init__(self, schema: Json, definitions: Json) -> None:
        self._schema = schema
        self._definitions = definitions

    def fields(self) -> Iterator[Path]:
        """Every field, those within others too."""
        yield from self._fields(self._schema, ())

    def put(self, body: Any, path: Path, value: Any) -> Any:
        """A copy of this body with the value there; what is missing around it is made up, and good."""
        body = copy.deepcopy(body)
        schema, inner = self._schema, body
        for step, following in pairwise(path):
            schema = self._inside(schema, step)
            if isinstance(inner, list):
                inner[:] = inner or [None]
            elif inner.get(step) is None:
                inner[step] = None
            if not inner[step]:
                inner[step] = self._sample(schema) or ({} if isinstance(following, str) else [])
            inner = inner[step]
        last = path[-1]
        if last == KEYS:
            inner[value if isinstance(value, str) else str(value)] = 1
        elif isinstance(inner, list):
            inner[:] = [value]
        else:
            inner[last] = value
        return body

    def _fields(self, schema: Json, path: Path) -> Iterator[Path]:
        if path:
            yield path
        found = self._resolved(schema)
        for name, inner in found.get("properties", {}).items():
            yield from self._fields(inner, (*path, name))
        if isinstance(found.get("additionalProperties"), dict):
            yield (*path, KEYS)
        if "items" in found:
            yield from self._fields(found["items"], (*path, 0))

    def _inside(self, schema: Json, step: str | int) -> Json:
        found = self._resolved(schema)
        inner: Json = found["items"] if isinstance(step, int) else found["properties"][step]
        return inner

    def _resolved(self, schema: Json) -> Json:
        """Itself, without references, and without the null of what may be null."""
        if "$ref" in schema:
            return self._resolved(self._definitions[schema["$ref"].rsplit("/", 1)[1]])
        for choice in schema.get("anyOf", ()):
            if choice.get("type") != "null":
                return self._resolved(choice)
        return schema

    def _sample(self, schema: Json) -> Any:
        """The smallest good value."""
        found = self._resolved(schema)
        match found:
            case {"const": value}:
                return value
            case {"enum": [value, *_]}:
                return value
            case {"type": "object"}:
                return {name: self._sample(found["properties"][name]) for name in found.get("required", ())}
            case {"type": "array"}:
                return [self._sample(found["items"])] if found.get("minItems") else []
            case {"type": "boolean"}:
                return True
            case {"type": "integer" | "number"}:
                return found.get("minimum", 1)
        return next(sample for sample in SAMPLES if re.search(found.get("pattern", ""), sample))
