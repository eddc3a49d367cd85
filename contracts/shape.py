"""The base of every shape that travels between processes, and the field types they share."""

from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from contracts import limits


# The messages of a batch share their moment, and each tells it three times.
@lru_cache(maxsize=64)
def to_text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def now() -> datetime:
    """This moment, in the precision that travels and is stored: milliseconds."""
    return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)


Instant = Annotated[AwareDatetime, PlainSerializer(to_text, return_type=str, when_used="json")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=limits.ID_LENGTH)]
# Some clients write what is not set as an empty string.
IdOrEmpty = (
    Annotated[str, StringConstraints(max_length=limits.ID_LENGTH), AfterValidator(lambda value: value or None)] | None
)
# JSON numbers are exact up to 2^53 - 1 in every client.
Seq = Annotated[int, Field(ge=0, le=2**53 - 1)]


def optional(**constraints: Any) -> Any:
    """A field that is left out of the JSON, not null, when it has no value."""
    return Field(default=None, exclude_if=lambda value: value is None, **constraints)


def complaint(error: ValidationError, most: int = 5) -> str:
    """What is wrong with which field, for people; without the values, which are nobody's business in a log."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in p['loc'])}: {p['msg']}" for p in problems[:most])


class Shape(BaseModel):
    """A frozen value: snake_case in Python, camelCase in JSON.

    Unknown fields are ignored, so that older and newer versions live side by side; types are never coerced.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        strict=True,
        extra="ignore",
    )

    def encode(self) -> bytes:
        """Compact JSON on one line, UTF-8."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def decode(cls, body: bytes | str) -> Self:
        """The shape that `encode` wrote.

        Raises:
            pydantic.ValidationError: naming each field that is wrong.
        """
        return cls.model_validate_json(body)
