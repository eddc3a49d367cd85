"""One person's socket for conversations of question and answer, where what it costs is not what is measured."""

import asyncio
from typing import Self

from bench.target import BenchError, Person
from bench.wire import Frame, Wire

TIMEOUT = 60.0


class Talker:
    """Authenticated as soon as it is entered."""

    def __init__(self, url: str, person: Person) -> None:
        self._url, self._person = url, person
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._wire = Wire(
            self._frames.put_nowait, lambda why: self._frames.put_nowait({"type": "closed", "error": why})
        )

    async def __aenter__(self) -> Self:
        await self._wire.connect(self._url)
        try:
            self.send({"type": "authenticate", "token": self._person.token})
            await self.until("authenticated")
        except BaseException:
            self._wire.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._wire.close()

    def send(self, frame: Frame) -> None:
        """Send one frame."""
        self._wire.send(frame)

    async def until(self, kind: str, times: int = 1) -> list[Frame]:
        """The next frames of this type; others are passed over. Raises BenchError: an error came, or nothing."""
        found: list[Frame] = []
        try:
            async with asyncio.timeout(TIMEOUT):
                while len(found) < times:
                    frame = await self._frames.get()
                    if frame["type"] == kind:
                        found.append(frame)
                    elif frame["type"] in ("error", "auth_error", "message_error", "closed"):
                        raise BenchError(f"Waiting for {kind}: {frame['error']}")
        except TimeoutError:
            raise BenchError(f"{kind} did not come within {TIMEOUT:.0f} s, or not {times} times") from None
        return found
