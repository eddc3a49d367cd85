"""How the context of a trace travels: last in the JSON of what is traced, for those who look for it."""

import json
from typing import Any

import pytest

from contracts import commands, events, fanout, tracing
from contracts.examples import EVENTS
from contracts.shape import Shape
from tests.support.examples import COMMANDS, ITEMS

CONTEXT = "00-019c1390f2107c51a0b1c2d3e4f50617-00f067aa0ba902b7-01"


@pytest.mark.parametrize("shape", [*COMMANDS, *EVENTS, *ITEMS], ids=lambda shape: type(shape).__name__)
def test_whatever_is_traced_carries_it_and_is_what_it_was(shape: Shape) -> None:
    line = tracing.carry(shape.encode(), CONTEXT)
    assert tracing.carried(line) == CONTEXT
    assert json.loads(line) == {**json.loads(shape.encode()), "traceparent": CONTEXT}
    assert type(shape).decode(line).model_copy(update={"traceparent": None}) == shape.model_copy(
        update={"traceparent": None}
    ), "a version that knows nothing of it reads the same"
    assert tracing.carried(shape.encode()) is None


def test_a_command_is_decoded_with_and_without_it() -> None:
    (command,) = [command for command in COMMANDS if isinstance(command, commands.SendMessage)]
    assert commands.decode(tracing.carry(command.encode(), CONTEXT)) == command


def test_an_event_shows_it_to_everybody() -> None:
    event = events.parse_event(tracing.carry(EVENTS[0].encode(), CONTEXT))
    assert event.traceparent == CONTEXT
    assert json.loads(event.encode())["traceparent"] == CONTEXT, "and keeps it when it is written again"


def test_an_item_carries_it_in_its_header_alone() -> None:
    item, data = ITEMS[0], b'{"a":1}'
    seen: list[Any] = []

    def look(header: dict[str, Any]) -> bool:
        seen.append(header.get("traceparent"))
        return True

    assert list(fanout.unpack(fanout.pack([(item, data)], CONTEXT), look)) == [(item, data)]
    assert list(fanout.unpack(fanout.pack([(item, data)]), look)) == [(item, data)]
    assert seen == [CONTEXT, None]


@pytest.mark.parametrize(
    "text",
    [
        f'x","traceparent":"{CONTEXT}"}}',
        f'","traceparent":"{CONTEXT}',
        f',"traceparent":"{CONTEXT}"}}',
    ],
)
def test_what_somebody_writes_is_no_context(text: str) -> None:
    (command,) = [command for command in COMMANDS if isinstance(command, commands.SendMessage)]
    for field in ("content", "temp_id"):
        assert tracing.carried(command.model_copy(update={field: text}).encode()) is None
        # ... wherever it stands; the last field is the easiest.
        assert tracing.carried(json.dumps({"a": 1, "content": text}, separators=(",", ":")).encode()) is None


@pytest.mark.parametrize(
    "context",
    [
        None,
        7,
        "",
        "00-1",
        CONTEXT.replace("-01", "-00"),  # not sampled
        CONTEXT.upper(),
        CONTEXT + "-more",
        CONTEXT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-019c1390f2107c51a0b1c2d3e4f50617-{'0' * 16}-01",
    ],
)
def test_anything_else_is_nobodys_trace(context: object) -> None:
    assert tracing.sampled(context) is None
    if isinstance(context, str):
        assert tracing.carried(tracing.carry(b'{"a":1}', context)) is None


def test_a_sampled_one_is() -> None:
    assert tracing.sampled(CONTEXT) == CONTEXT
