"""Questions of one kind that come together are asked together: one read of the database answers them all.

The first leaves at the end of its turn; those that come while it is under way leave together after it. So nobody waits who
is alone, and a thousand clients that come back at once cost a few reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")

MOST = 500  # questions of one read
STALLED = 0.5  # seconds after which a read that has no answer yet holds up those behind it no longer


class Gathered(Generic[Q, A]):
    """One kind of question. Whoever asks the same as somebody else, before it was read, shares the answer."""

    def __init__(self, read: Callable[[Sequence[Q]], Awaitable[Mapping[Q, A]]]) -> None:
        """`read` answers every question that it is given, or raises what all who asked shall see."""
        self._read = read
        self._asked: dict[Q, list[asyncio.Future[A]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._reads: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer, from a read that begins after this call."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(question, []).append(future)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await future

    async def _ask_all(self) -> None:
        while self._asked:
            portion = {question: self._asked.pop(question) for question in list(islice(self._asked, MOST))}
            read = asyncio.create_task(self._answer(portion))
            self._reads.add(read)
            read.add_done_callback(self._reads.discard)
            await asyncio.wait([read], timeout=STALLED)
        self._asking = None

    async def _answer(self, portion: dict[Q, list[asyncio.Future[A]]]) -> None:
        try:
            answers = await self._read(list(portion))
            told = [(future, answers[question]) for question, futures in portion.items() for future in futures]
        except Exception as error:
            for futures in portion.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            return
        for future, answer in told:
            if not future.done():
                future.set_result(answer)
