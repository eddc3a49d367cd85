"""Each message once, in order, and as it is now."""

from typing import Any

from services.cli.timeline import Timeline

Frame = dict[str, Any]


def message(seq: int, content: str = "", **more: Any) -> Frame:
    return {"seq": seq, "content": content or f"m{seq}", **more}


class Client:
    """A timeline, the server that it asks, and what it showed."""

    def __init__(self) -> None:
        self.stored: list[Frame] = [message(seq) for seq in range(1, 6)]
        self.said: list[Any] = []
        self.timeline = Timeline(self.fetch, self.show, lambda message, change: self.said.append((change, message)))

    async def fetch(self, after: int) -> Frame:
        page = [m for m in self.stored if m["seq"] > after]
        return {"items": page[:2], "hasMore": len(page) > 2}

    async def show(self, message: Frame) -> None:
        self.said.append(message["seq"])


async def test_a_hole_is_fetched_and_nothing_comes_twice() -> None:
    client = Client()
    client.timeline.joined({"lastSeq": 1, "firstSeq": 1})
    await client.timeline.message(message(1))
    await client.timeline.message(message(5))
    await client.timeline.message(message(4))
    assert client.said == [1, 2, 3, 4, 5]
    assert client.timeline.resume() == {"afterSeq": 5, "afterChange": 0}


async def test_a_first_join_asks_for_nothing_older() -> None:
    client = Client()
    assert client.timeline.resume() == {}
    client.timeline.joined({"lastSeq": 4, "firstSeq": 3, "lastChange": 7})
    await client.timeline.message(message(3))
    assert client.said == [3]
    assert client.timeline.resume() == {"afterSeq": 3, "afterChange": 7}


async def test_missed_changes_are_read_again() -> None:
    client = Client()
    client.timeline.joined({"lastSeq": 5, "firstSeq": 2})
    for stored in client.stored[1:]:
        await client.timeline.message(stored)
    client.said.clear()
    client.stored = [
        message(1, "never shown", changeSeq=1),
        message(2, "edited", changeSeq=2),
        message(3),
        message(4, isDeleted=True, changeSeq=3),
        message(5, reactions={"👍": ["bob"]}, changeSeq=4),
        message(6),
    ]
    await client.timeline.refresh(6)
    assert [(change, m["seq"]) for change, m in client.said] == [("edited", 2), ("deleted", 4), ("reactions", 5)]
    assert client.timeline.resume() == {"afterSeq": 5, "afterChange": 6}


async def test_a_restored_backup_is_shown_from_anew() -> None:
    client = Client()
    assert not client.timeline.begin(None)
    client.timeline.joined({"lastSeq": 2, "firstSeq": 1})
    for seq in (1, 2):
        await client.timeline.message(message(seq))
    assert not client.timeline.begin(None)
    assert client.timeline.begin("restored")
    assert client.timeline.resume() == {}
    client.timeline.joined({"lastSeq": 2, "firstSeq": 1})
    for seq in (1, 2):
        await client.timeline.message(message(seq, "another"))
    assert client.said == [1, 2, 1, 2]
    assert client.timeline.shown[2]["content"] == "another"
    assert not client.timeline.begin("restored")
    assert client.timeline.resume() == {"afterSeq": 2, "afterChange": 0}
