"""What it takes to tell who is here: when people change, and when a gateway dies under them."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable

import httpx

from bench.processes import CpuMeter
from bench.report import Result
from bench.target import BenchError, Person, Target
from bench.wire import Frame, Wire

AT_ONCE = 100  # sockets that are being opened at the same time
WATCHED = 500  # people that one connection watches
ROOM = 999  # people in a room, beside the watcher
CHANGING = 100
ROUNDS = 5
LATEST = 150.0  # seconds until a death is told; the default leases last half of that
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
        return await _connect(url, self._person, self._receive, then=self._watch())

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
        here = await _connect_all(second, people)
        ids = {person.user_id for person in people}
        await _until(lambda: all(watcher.all("online", ids) for watcher in watchers), "everybody to be here")
        result.rows.append((f"seconds until {sockets:,} are seen", f"{time.perf_counter() - begun:,.1f}"))
        await _changes(result, target, watchers, here, people)
        meter = CpuMeter(target.pids)
        meter.start()
        before, began = await _counts([http]), time.perf_counter()
        os.kill(doomed, signal.SIGKILL)
        back, away = people[: len(people) // 2], {person.user_id for person in people[len(people) // 2 :]}
        wires += await _connect_all(first, back)
        await _until(lambda: all(watcher.all("offline", away) for watcher in watchers), "the others to be gone")
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
        await _until(lambda s=status: all(w.all(s, changing) for w in watchers), f"them to be {status}")  # type: ignore[misc]
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


async def _connect_all(url: str, people: list[Person]) -> list[Wire]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(person: Person) -> Wire:
        async with gate:
            return await _connect(url, person, lambda _: None)

    return list(await asyncio.gather(*(connect(person) for person in people)))


async def _connect(url: str, person: Person, receive: Callable[[Frame], None], then: Frame | None = None) -> Wire:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frame(frame: Frame) -> None:
        if frame["type"] == "authenticated":
            ready.set_result(None)
        elif frame["type"] == "auth_error":
            ready.set_exception(OSError(f"{frame['code']}: {frame['error']}"))
        receive(frame)

    wire = Wire(on_frame, lambda _: None)
    async with asyncio.timeout(30):
        await wire.connect(url)
        wire.send({"type": "authenticate", "token": person.token})
        await ready
    if then is not None:
        wire.send(then)
    return wire


async def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.perf_counter() + LATEST
    while not done():
        if time.perf_counter() > deadline:
            raise BenchError(f"Waited {LATEST:.0f} s for {what}.")
        await asyncio.sleep(0.05)


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
