"""A process of the system that we start, watch and end; the ports and folders that one needs for itself."""

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# asyncio's own subprocesses belong to one event loop; ours may be started in one and stopped in another, so
# we look at them this often instead.
POLL = 0.05


class StartError(Exception):
    """Something could not be started; the message is for the person who runs us and says what to do."""


class Process:
    """Runs in a session of its own, so that Ctrl-C in a terminal reaches us alone, and we stop all in order.

    Its pid is kept in a file: should we be killed, whoever starts it the next time ends what we left behind.
    """

    def __init__(self, name: str, pid_file: Path, log_file: Path) -> None:
        self.name = name
        self.pid_file = pid_file
        self.log_file = log_file
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    async def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> None:
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        await end_leftover(self.pid_file)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self._popen = _spawn(argv, env, cwd, self.log_file)
        self.pid_file.write_text(json.dumps([self._popen.pid, _birth(self._popen.pid)]))

    async def wait(self) -> int:
        """Wait until it ends, by whoever's hand."""
        popen = self._popen
        if popen is None:
            raise RuntimeError(f"{self.name} was not started")
        while (code := popen.poll()) is None:
            await asyncio.sleep(POLL)
        return code

    async def stop(self, grace: float) -> None:
        """Ask it to end; after `grace` seconds, make it."""
        if self.running:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    await self.wait()
            except TimeoutError:
                await self.kill()
        self.pid_file.unlink(missing_ok=True)

    async def kill(self) -> None:
        if self.running:
            self._signal(signal.SIGKILL)
            await self.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output, for an error message."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - 64 * 1024))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._popen:
            self._popen.send_signal(number)


async def end_leftover(pid_file: Path) -> None:
    """End what an earlier one of us started and, being killed, could not stop."""
    try:
        pid, birth = json.loads(pid_file.read_text())
    except (OSError, ValueError, TypeError):
        return
    for number, grace in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)):
        if _birth(pid) == birth is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while _birth(pid) == birth is not None and time.monotonic() < deadline:
            await asyncio.sleep(POLL)
    pid_file.unlink(missing_ok=True)


def _spawn(argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _birth(pid: int) -> str | None:
    """When a living process was started, to tell it from a later one with its pid. None when it is gone."""
    if Path("/proc/self/stat").exists():
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else fields[18]
    ps = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return ps.stdout.strip() or None


# ---------------------------------------------------------------------------------------- ports and folders

# Below the range that systems give to outgoing connections: a client that retries a port in that range while
# the server is down may be given the very port it dials, connect to itself, and so keep the server away.
PORTS = range(20_000, 32_000)


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


# A port stays free until its server listens. So each of us goes through them once, from a place of its own on: those that
# somebody starts together have pids beside each other, and a thousand ports before one comes to where the next began.
_places = itertools.count(os.getpid() * 1009)


def interrupted_by_sigterm() -> None:
    """SIGTERM is to us what Ctrl-C is: asyncio cancels what runs, which stops all that it has started.

    Also where a shell has put us into the background, and lets us ignore SIGINT.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def free_port(host: str = "127.0.0.1") -> int:
    for place in itertools.islice(_places, len(PORTS)):
        port = PORTS[place % len(PORTS)]
        if port_is_free(port, host):
            return port
    raise StartError(f"no free port between {PORTS.start} and {PORTS.stop} on {host}")


def read_ports(path: Path, *uses: str) -> dict[str, int]:
    """The ports of the last time, so that clients find their server again; free ones the first time."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    return {use: known.get(use) or free_port() for use in uses}


def claim_ports(path: Path, ports: Mapping[str, int]) -> dict[str, int]:
    """Keep those that are free, replace the others, and remember them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    claimed = {use: port if port_is_free(port) else free_port() for use, port in ports.items()}
    write_atomically(path, json.dumps(claimed))
    return claimed


@contextlib.contextmanager
def sole_use(folder: Path, complaint: str) -> Iterator[None]:
    """Keep a second one of us out of this folder. The system lets go of the lock however we end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(complaint) from None
        yield


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """A reader sees the whole of the old or the whole of the new, never half."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    draft.replace(path)
