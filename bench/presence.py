"""What it takes to tell who is here: when people change, and when a gateway dies under them."""

import os
import re
import signal
import time

import httpx

from bench.processes import CpuMeter
from bench.report import Result
from bench.sockets import connect, connect_all, until
from bench.target import Person, Target
from bench.wire import Frame, Wire

WATCHED = 500  # people that one connection watches
ROOM = 999  # people in a room, beside the watcher
CHANGING = 100
ROUNDS = 5
COUNTED = {
    "items": "palabre_gateway_presence_items_total",
    "frames": 'palabre_gateway_frames_out_total{type="presence"}',
}


class Watcher:
    """A socket on the first gateway that watches some people; what it was told of each, last."""

    def __init__(self, person: Person, watched: list[Person]) -> None:
        self.told: dict[str, str] = {}
        self.offline: set[str] = set()  # who was ever said to have gone, after having been here
        self.frames = 0
        self.watched = watched
        self._person = person

    async def connect(self, url: str) -> Wire:
        """Connect and begin to watch."""
        return await connect(url, self._person, self._receive, then=self._watch())

    def all(self, status: str, people: set[str]) -> bool:
        """Whether all of these that it watches were last seen so."""
        return all(self.told.get(p.user_id) == status for p in self.watched if p.user_id in people)

    def _watch(self) -> Frame:
        return {"type": "watch_presence", "userIds": [person.user_id for person in self.watched]}

    def _receive(self, frame: Frame) -> None:
        if frame["type"] != "presence":
            return
        self.frames += 1
        user, status = frame["userId"], frame["status"]
        if status == "offline" and self.told.get(user) not in (None, "offline"):
            self.offline.add(user)
        self.told[user] = status


async def presence(target: Target, sockets: int) -> Result:
    """People on the second gateway, watched from the first."""
    result = Result(f"Presence: {sockets} people on one gateway, watched on another; then it is killed")
    doomed = target.pids.get("gateway-2")
    if not target.ours or doomed is None:
        result.rows = [("unknown", "a gateway is killed only in a system of our own, with two of them")]
        return result
    (http, first), (_, second) = target.urls[:2]
    everybody = await target.people(sockets + 1)
    watching, people = everybody[0], everybody[1:]
    for start in range(0, len(people), ROOM):
        await target.room(f"bench presence {start}", [watching, *people[start : start + ROOM]])
    watchers = [Watcher(watching, people[start : start + WATCHED]) for start in range(0, len(people), WATCHED)]
    wires = [await watcher.connect(first) for watcher in watchers]
    try:
        begun = time.perf_counter()
        here = await connect_all(second, people)
        ids = {person.user_id for person in people}
        await until(lambda: all(watcher.all("online", ids) for watcher in watchers), "everybody to be here")
        result.rows.append((f"seconds until {sockets:,} are seen", f"{time.perf_counter() - begun:,.1f}"))
        await _changes(result, target, watchers, here, people)
        meter = CpuMeter(target.pids)
        meter.start()
        before, began = await _counts([http]), time.perf_counter()
        os.kill(doomed, signal.SIGKILL)
        back, away = people[: len(people) // 2], {person.user_id for person in people[len(people) // 2 :]}
        wires += await connect_all(first, back)
        await until(lambda: all(watcher.all("offline", away) for watcher in watchers), "the others to be gone")
        result.cpu, result.seconds = meter.stop(), time.perf_counter() - began
        after = await _counts([http])
        result.unit, result.count = "person", sockets
        blinked = set().union(*(watcher.offline for watcher in watchers)) - away
        result.faults = [f"{len(blinked)} of those who came back were said to be gone"] if blinked else []
        items, frames = (after[name] - before[name] for name in COUNTED)
        result.rows += [
            ("until those who stayed away are gone", f"{result.seconds:,.1f} s"),
            (f"AMQP items for {sockets:,} people", f"{items:,.0f}"),
            ("frames for each who is gone, a watcher", f"{frames / max(len(away), 1):,.2f}"),
        ]
        result.figures["presence: items after a gateway's death"] = items
        result.figures["presence: frames for each who is gone, a watcher"] = frames / max(len(away), 1)
        return result
    finally:
        for wire in wires:
            wire.close()


async def _changes(
    result: Result, target: Target, watchers: list[Watcher], here: list[Wire], people: list[Person]
) -> None:
    """Some people become busy, all at the same time, and then are free again."""
    urls = [url for url, _ in target.urls]
    changing = {person.user_id for person in people[:CHANGING]}
    before = await _counts(urls)
    began = time.perf_counter()
    for number in range(ROUNDS * 2):
        status = "online" if number % 2 else "busy"
        for wire in here[:CHANGING]:
            wire.send({"type": "set_presence", "status": status})
        await until(lambda s=status: all(w.all(s, changing) for w in watchers), f"them to be {status}")  # type: ignore[misc]
    elapsed = time.perf_counter() - began
    after = await _counts(urls)
    changes = len(changing) * ROUNDS * 2
    items, frames = (after[name] - before[name] for name in COUNTED)
    result.rows += [
        (f"{len(changing)} changes at once are seen after", f"{elapsed / ROUNDS / 2:,.2f} s"),
        ("AMQP items a change", f"{items / changes:,.3f}"),
        ("frames a change (its own device twice, a watcher)", f"{frames / changes:,.2f}"),
    ]
    result.figures["presence: AMQP items a change"] = items / changes
    result.figures["presence: frames a change"] = frames / changes


async def _counts(urls: list[str]) -> dict[str, float]:
    """The sums over these gateways."""
    sums = dict.fromkeys(COUNTED, 0.0)
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in urls:
            text = (await client.get(f"{url}/metrics")).text
            for name, metric in COUNTED.items():
                found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
                sums[name] += float(found[1]) if found else 0.0
    return sums
