"""`python -m tests.faults.mortal persister`: a service that dies at each of its awaits, one after the other.

The service is the product, unchanged; from here its coroutines are driven, so that every suspension is seen: once when
the awaited thing has begun, once when it is done and nothing has followed. The first time that one is reached, the process
kills itself, as kill -9 would. Where somebody has died is kept in the file that MORTAL_PLACES names, so that the next life
goes on to the next place, until none is left.
"""

import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

PRODUCT = f"{os.sep}services{os.sep}"


class Driven:
    """Awaits a coroutine; `reached` is called at each of its suspensions."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], reached: Callable[[str], None]) -> None:
        self._coroutine = coroutine
        self._reached = reached

    def __await__(self) -> Generator[Any, Any, Any]:
        """As `coroutine.__await__`, step by step."""
        step: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731
        while True:
            try:
                awaited = step()
            except StopIteration as stop:
                return stop.value
            place = where(self._coroutine)
            self._reached(f"{place} begun")
            try:
                result = yield awaited
            except BaseException as error:  # whatever it is, it is the coroutine's
                step = self._throwing(error)
                continue
            self._reached(f"{place} done")
            step = self._sending(result)

    def _sending(self, value: Any) -> Callable[[], Any]:
        return lambda: self._coroutine.send(value)

    def _throwing(self, error: BaseException) -> Callable[[], Any]:
        return lambda: self._coroutine.throw(error)


def where(coroutine: Any) -> str:
    """The innermost line of the product that awaits, as `messages._round:95`."""
    place = "?"
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None and PRODUCT in frame.f_code.co_filename:
            code = frame.f_code
            name = code.co_qualname.partition(".<locals>")[0]
            place = f"{Path(code.co_filename).stem}.{name}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return place


class Fate:
    """Knows where to die next."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: set[str] = set()

    def reached(self, place: str) -> None:
        """Die here, if nobody has."""
        if place in self._known:
            return
        self._known = set(self._file.read_text().splitlines()) if self._file.exists() else set()
        if place not in self._known:
            with self._file.open("a") as file:
                file.write(f"{place}\n")
            os.kill(os.getpid(), signal.SIGKILL)


def mortal(method: Callable[..., Coroutine[Any, Any, Any]], fate: Fate) -> Callable[..., Awaitable[Any]]:
    """The method, at whose suspensions the process may die."""
    return lambda *args, **kwargs: Driven(method(*args, **kwargs), fate.reached)


def prepare(service: str, fate: Fate) -> None:
    """What a service does with what it took from a queue."""
    # Imported here, so that each process has only its own service, as in production.
    owners: list[tuple[Any, str]]
    if service == "persister":
        from services.persister.activity import Page
        from services.persister.consumer import Consumer

        owners = [(Consumer, "_handle"), (Page, "write")]
    elif service == "notifier":
        from services.notifier import batches

        owners = [(batches, "_handle_all")]
    else:
        from services.gateway.ingress import Ingress

        owners = [(Ingress, "_publish_round")]
    for owner, name in owners:
        setattr(owner, name, mortal(getattr(owner, name), fate))


if __name__ == "__main__":
    _service = sys.argv[1] if len(sys.argv) > 1 else os.environ["MORTAL_SERVICE"]
    prepare(_service, Fate(Path(os.environ["MORTAL_PLACES"])))
    runpy.run_module(f"services.{_service}", run_name="__main__")
