"""A private PostgreSQL for a peer: empty at each start, all that it has in one folder, on 127.0.0.1, with fsync."""

import asyncio
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

from bench.target import BenchError
from deploy.local.install import apt_install, may_install
from deploy.local.process import POLL, Process, end_leftover, free_port

START_DEADLINE = 60.0
STOP_GRACE = 20.0
ACCOUNT = "postgres"  # Debian's package makes it; PostgreSQL refuses to run as root


class PostgreSQL:
    """One server, for one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._process = Process("postgresql", self._folder / "pid.json", self._folder / "postgresql.log")
        self._port = free_port()
        self._password = secrets.token_urlsafe(24)

    @property
    def pid(self) -> int | None:
        """Of the server that starts the others."""
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """How clients find it (https://www.postgresql.org/docs/current/libpq-envars.html)."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self._port),
            "PGUSER": ACCOUNT,
            "PGPASSWORD": self._password,
            "PGDATABASE": ACCOUNT,
        }

    async def start(self) -> None:
        """Returns when it takes connections. Raises BenchError, StartError."""
        programs = await asyncio.to_thread(_programs)
        await end_leftover(self._process.pid_file)
        data = self._folder / "data"
        await asyncio.to_thread(self._create, programs, data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            # Its defaults, said aloud: what is committed is on the disk.
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # The folder as working directory: ours may not be readable for that account.
        await self._process.start(
            [*_as_account(), str(programs / "postgres"), "-D", str(data), *options], os.environ, self._folder
        )
        try:
            async with asyncio.timeout(START_DEADLINE):
                while not await self._listens():
                    if not self._process.running:
                        raise BenchError(f"PostgreSQL ended while starting:\n{self._process.tail()}")
                    await asyncio.sleep(POLL)
        except BaseException:
            await self.stop()
            raise

    async def execute(self, sql: str, **values: str | int) -> None:
        """Run statements, in which `:'name'` and `:name` stand for values, as psql has it. Raises BenchError."""
        await asyncio.to_thread(self._execute, sql, values)

    def _execute(self, sql: str, values: dict[str, str | int]) -> None:
        command = [str(_programs() / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        command += [f"--set={name}={value}" for name, value in values.items()]
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, input=sql, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"PostgreSQL refused:\n{done.stderr[-1000:]}")

    async def stop(self) -> None:
        """After its clients: it waits for them."""
        await self._process.stop(STOP_GRACE)

    def _create(self, programs: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        password = self._folder / "password"
        password.write_text(self._password)
        password.chmod(0o600)
        if os.geteuid() == 0:
            for path in (data, password):
                shutil.chown(path, ACCOUNT)
        command = [
            *_as_account(),
            str(programs / "initdb"),
            f"--pgdata={data}",
            f"--username={ACCOUNT}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        password.unlink()
        if done.returncode:
            raise BenchError(f"PostgreSQL's data could not be made in {data}:\n{done.stderr[-1000:]}")

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True


def _programs() -> Path:
    """The folder of `initdb` and `postgres`, installed if need be and if we may."""
    if (found := _installed()) is None and may_install():
        apt_install("postgresql")
        found = _installed()
    if found is None:
        raise BenchError(
            "PostgreSQL is not on this machine, and the peer needs it. Run this once, then try again:\n\n"
            "    sudo apt-get install --no-install-recommends postgresql"
        )
    return found


def _installed() -> Path | None:
    # Debian keeps the programs of each version in a folder of its own, off PATH.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *reversed(debian)]
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def _as_account() -> list[str]:
    """What runs a program as somebody else than root, in the same process."""
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise BenchError(f"PostgreSQL refuses to run as root, and there is no account {ACCOUNT} to run it.") from None
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
