"""Where the time of our own processes goes: py-spy looks at each of them while a load runs.

It sees who holds the interpreter's lock, and that is taken for the whole: a system call that lets go of the lock, as
those of PyMongo do, is not seen. What a message costs is shared out by that, to be compared with another profile.

It is fetched into .venv when it is asked for; nothing else needs it. Looking at another process takes root, or
`kernel.yama.ptrace_scope=0`.
"""

import asyncio
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.report import Result, Table, number
from bench.target import BenchError, Target
from deploy.local.servers import CHECKOUT

KINDS = ("gateway", "persister", "notifier")  # those that are Python
SAMPLES = 200  # a second
TOP, PACKAGES = 15, 8  # rows
ATTACHED, WRITTEN = 20.0, 20.0  # seconds for py-spy to begin, and to write what it saw
LOCK = CHECKOUT / "requirements-profile.lock"

Frame = tuple[str, str]  # function, file


async def profile(target: Target, load: Callable[[], Awaitable[Result]], costs: Result) -> Result:
    """The load once more, under the profiler, which slows it: `costs` is what it took without, and gives µs a message."""
    program = await asyncio.to_thread(_installed)
    pids = {name: pid for name, pid in target.pids.items() if name.startswith(KINDS)}
    if not pids:
        raise BenchError("Only processes of this machine can be profiled.")
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in pids}
        async with AsyncExitStack() as stack:
            for name, pid in pids.items():
                await stack.enter_async_context(_sampled(program, pid, files[name]))
            result = await load()
        seen = {name: own_time(file.read_text().splitlines()) for name, file in files.items()}
    tables: list[Table] = []
    for kind in KINDS:
        own: Counter[Frame] = sum((counts for name, counts in seen.items() if name.startswith(kind)), Counter())
        if own:
            tables += _tables(kind, own, costs.cpu_of(kind) * 1e6 / max(costs.messages, 1))
    return Result(f"Profile of {result.title}", tables=tables, faults=result.faults, messages=result.messages)


def own_time(stacks: Iterable[str]) -> Counter[Frame]:
    """Samples by the function that was at work, from lines as `outer (file:1);inner (file:2) 17`."""
    own: Counter[Frame] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if match := re.fullmatch(r"(.+) \((.+?)(?::\d+)?\)", stack.rpartition(";")[2]):
            own[match[1], match[2]] += int(count)
    return own


def package(file: str) -> str:
    """Whose code it is: one of our folders, an installed package, or the standard library's module."""
    parts = file.removesuffix(".py").split("/")
    return "/".join(parts[:2]) if parts[0] == "services" else parts[0]


def _tables(kind: str, own: Counter[Frame], cost: float) -> tuple[Table, Table]:
    """One by function, one by package."""
    samples = own.total()
    packages: Counter[str] = Counter()
    for (_, file), count in own.items():
        packages[package(file)] += count

    def shares(count: int) -> tuple[str, str]:
        return f"{100 * count / samples:.1f}", number(cost * count / samples)

    title = f"{kind}: {number(cost)} µs a message, own time in {samples:,} samples"
    functions = Table(title, ("function", "where", "%", "µs a message"), [])
    for (function, file), count in own.most_common(TOP):
        functions.rows.append((f"`{function}`", f"`{file}`", *shares(count)))
    by_package = Table(f"{kind}, by package", ("package", "%", "µs a message"), [])
    for name, count in packages.most_common(PACKAGES):
        by_package.rows.append((f"`{name}`", *shares(count)))
    return functions, by_package


@asynccontextmanager
async def _sampled(program: str, pid: int, file: Path) -> AsyncIterator[None]:
    """One process is looked at meanwhile; afterwards the file has its stacks."""
    # Only who holds the interpreter's lock: other threads wait, though py-spy, which stops and wakes them, may not see it.
    command = ["record", "--gil", "--pid", str(pid), "--rate", str(SAMPLES), "--function", "--format", "raw"]
    spy = await asyncio.create_subprocess_exec(
        program, *command, "--output", str(file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert spy.stdout is not None
    said = b""
    try:
        try:
            async with asyncio.timeout(ATTACHED):
                while b"Sampling" not in said:
                    if not (more := await spy.stdout.read(4096)):
                        raise BenchError(f"py-spy: {said.decode(errors='replace').strip()}")
                    said += more
        except TimeoutError:
            raise BenchError("py-spy did not begin") from None
        yield
        spy.send_signal(signal.SIGINT)
        async with asyncio.timeout(WRITTEN):
            said, _ = await spy.communicate()
        if not file.exists():
            raise BenchError(f"py-spy: {said.decode(errors='replace').strip()}")
    finally:
        if spy.returncode is None:
            spy.kill()
            await spy.wait()


def _installed() -> str:
    """py-spy's path; installed as locked where it is not there."""
    program = Path(sys.executable).with_name("py-spy")
    if not program.exists():
        print("Fetching py-spy from PyPI into .venv", flush=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        done = subprocess.run([*pip, "--require-hashes", "-r", LOCK], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"py-spy could not be installed:\n{done.stderr[-1000:]}")
    return str(program)
