"""What `docs/integrators.md` tells integrators is what the contracts say."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from contracts import events, generate
from contracts.examples import EVENTS
from contracts.topology import Topology
from services.cli import readers

PAGE = (Path(__file__).parents[2] / "docs" / "integrators.md").read_text(encoding="utf-8")
REFERENCE = generate.files()["asyncapi.md"]


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_every_event_is_listed_and_linked(kind: type[events.CloudEvent]) -> None:
    name = kind.model_fields["type"].default
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`]")]
    assert f"asyncapi.md#{name.replace('.', '')}" in row
    assert f"`{events.routing_key(name, '<conversationId>')}`" in row
    assert str(kind.__doc__).splitlines()[0].split("; id ")[1].rstrip(".") in row
    assert f"\n### {name}\n" in REFERENCE


def test_every_example_is_one_of_the_contracts() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
    assert blocks
    assert all(block in [json.loads(event.encode()) for event in EVENTS] for block in blocks)


def test_every_event_is_shown_in_the_reference() -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", REFERENCE, re.S)]
    assert shown == [json.loads(event.encode()) for event in EVENTS]


def test_the_numbers_are_those_of_the_policy_and_of_the_stream() -> None:
    assert Topology().log.arguments["x-max-age"] == "7D"
    assert "every event of the last 7 days" in PAGE
    assert f"past {readers.QUEUE_BYTES // 2**20} MiB" in PAGE
    assert f"for {readers.QUEUE_EXPIRES_MS // 86_400_000} days is deleted" in PAGE


def test_no_link_leads_nowhere() -> None:
    folder = Path(__file__).parents[2] / "docs"
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (folder / target).exists(), target
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    assert {anchor for anchor in re.findall(r"\]\(#([^)]+)\)", PAGE)} <= anchors
