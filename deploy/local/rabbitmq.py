"""A private RabbitMQ node: data, logs, configuration, even the Erlang cookie in one folder, on 127.0.0.1."""

import asyncio
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika

from deploy.local.process import POLL, Process, StartError, claim_ports, end_leftover, read_ports

START_DEADLINE = 90.0
STOP_GRACE = 20.0
HELLO = b"AMQP\x00\x00\x09\x01"  # what a client says first; a server answers at once

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
log.file = rabbitmq.log
log.file.rotation.size = 10485760
log.file.rotation.count = 2
log.console = false
# On a laptop we share the disk and the memory. Below these limits RabbitMQ blocks whoever publishes.
disk_free_limit.absolute = 200MB
vm_memory_high_watermark.relative = 0.4
# The write-ahead log of quorum queues is kept in memory too: 64 MiB instead of 512.
raft.wal_max_size_bytes = 67108864
"""
# Its schedulers share the cores with everybody: where each has less to do than a core could, waking each other is a fifth
# of their work, and they must not wait by spinning (https://www.rabbitmq.com/docs/runtime#scheduling, #busy-waiting).
SCHEDULERS = max(1, (os.cpu_count() or 1) // 2)
ADVANCED = Path(__file__).parents[1] / "rabbitmq" / "advanced.config"  # what rabbitmq.conf has no names for


class RabbitMQ:
    """Start, stop, kill and start again: the ports and the data stay the same."""

    def __init__(self, program: str, folder: Path, management: bool = False) -> None:
        self.folder = folder.resolve()
        self.management = management
        self._program = program
        self._process = Process("rabbitmq", self.folder / "pid.json", self.folder / "log" / "output.log")
        self._ports: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._ports['amqp']}/"

    @property
    def management_url(self) -> str | None:
        return f"http://127.0.0.1:{self._ports['management']}/" if self.management else None

    @property
    def pid(self) -> int | None:
        """The pid of beam.smp, the server itself."""
        return self._process.pid

    async def start(self) -> None:
        await end_leftover(self._process.pid_file)
        self._choose_ports()
        try:
            await self._process.start([self._program], self._prepare())
            async with asyncio.timeout(START_DEADLINE):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise StartError(self._why(f"did not answer within {START_DEADLINE:.0f} s")) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._process.stop(STOP_GRACE)
        _stop_epmd(self._ports["epmd"])

    async def kill(self) -> None:
        """As a crash would: without a chance to tidy up."""
        await self._process.kill()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def wait(self) -> int:
        return await self._process.wait()

    async def control(self, *arguments: str) -> None:
        """`rabbitmqctl` for this node. Raises StartError."""
        process = await asyncio.create_subprocess_exec(
            str(Path(self._program).with_name("rabbitmqctl")),
            *arguments,
            env=self._prepare(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise StartError(f"rabbitmqctl {' '.join(arguments)}: {output.decode(errors='replace')}")

    def _prepare(self) -> dict[str, str]:
        """Write the configuration, give back the environment that makes the node keep to its folder."""
        for name in ("data", "log", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text(CONFIG.format(**self._ports))
        plugins = "[rabbitmq_management]." if self.management else "[]."
        (self.folder / "enabled_plugins").write_text(plugins)
        # What belongs to another node on this machine must not reach ours.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_", "NOTIFY_SOCKET"))}
        return env | {
            "HOME": str(self.folder / "home"),  # the Erlang cookie is made here
            # A port mapper of its own: neither the node's name nor its ports can meet those of another node.
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "RABBITMQ_NODENAME": "palabre@localhost",
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "no-rabbitmq-env.conf"),  # not the machine's
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(ADVANCED),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "home"),
            "ERL_CRASH_DUMP": str(self.folder / "log" / "erl_crash.dump"),  # else where we were called
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "data" / "feature_flags"),
            # With input "allowed" the start script becomes the server instead of guarding it, so that the pid
            # we know is the server's; -noinput then takes the Erlang shell away again.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput -kernel inet_dist_use_interface {127,0,0,1} "
                f"+S {SCHEDULERS}:{SCHEDULERS} +SDio {2 * SCHEDULERS} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    def _choose_ports(self) -> None:
        """Once: later starts use the same ones, so that whoever was connected finds the way back."""
        if not self._ports:
            remembered = self.folder / "ports.json"
            ports = read_ports(remembered, "amqp", "dist", "epmd", "management")
            _stop_epmd(ports["epmd"])  # stays when its node was killed
            self._ports = claim_ports(remembered, ports)

    async def _ready(self) -> None:
        while not await answers(self.url):
            if not self._process.running:
                raise StartError(self._why("ended while starting"))
            await asyncio.sleep(POLL)

    def _why(self, what: str) -> str:
        return f"RabbitMQ {what}. Its logs are in {self.folder / 'log'}.\n{self._process.tail()}"


async def answers(url: str) -> bool:
    """Whether a client gets in. A node listens only after its queues are recovered, so then it is ready."""
    address = urlsplit(url)
    try:
        # A plain connection first: AMQP's client would log an error each time that nobody listens yet, or that a
        # container's port is open before the server in it is.
        reader, writer = await asyncio.open_connection(address.hostname, address.port or 5672)
        try:
            if address.scheme == "amqp":
                writer.write(HELLO)
                async with asyncio.timeout(5):
                    if not await reader.read(1):
                        return False
        finally:
            writer.close()
        connection = await aio_pika.connect(url, timeout=5)
    except (TimeoutError, OSError, aio_pika.exceptions.AMQPError):
        return False
    await connection.close()
    return True


def _stop_epmd(port: int) -> None:
    """End the Erlang port mapper that our node started: nobody else knows of it, and it would stay for ever.

    It is asked in its own protocol, which needs no pid, and refuses while a node is alive.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as names:
            names.sendall(b"\x00\x01n")
            if int.from_bytes(names.recv(4)) != port:
                return  # not a port mapper
        with socket.create_connection(("127.0.0.1", port), timeout=2) as epmd:
            epmd.sendall(b"\x00\x01k")
            while epmd.recv(16):  # until it is gone
                pass
    except OSError:
        return
