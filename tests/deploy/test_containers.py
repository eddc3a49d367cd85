"""The images and the Compose file; with a Docker engine that has the base images, everything is built and talked to.

`RABBITMQ_IMAGES` names the RabbitMQs to do that with, one after the other.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.settings import Settings
from services.settings import load
from tests.deploy.composed import MEMORY, OURS, SERVICES, TRIED, Composed, missing
from tests.faults.verdict import verdict
from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually

RABBITMQS = os.environ.get("RABBITMQ_IMAGES", os.environ.get("RABBITMQ_IMAGE", "rabbitmq:3.13 rabbitmq:4")).split()
STATUS = "print(open('/proc/1/status').read())"
TALK = 3.0  # seconds before and after


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_comes_back_and_says_whether_it_works(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    # Ours have the check in their image.
    assert "healthcheck" in service or name in OURS
    assert "no-new-privileges:true" in service.get("security_opt", []) or name in ("rabbitmq", "mongodb")


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nothing(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", OURS)
def test_every_setting_can_be_set_and_no_file_has_to_be_there(name: str) -> None:
    assert SERVICES[name]["env_file"] == [{"path": f"{name}.env", "required": False}]


@pytest.mark.parametrize(
    ("environment", "auth_dev"),
    [
        ({}, True),
        ({"AUTH_DEV": "0"}, False),
        ({"LISTEN": "0.0.0.0", "AUTH_DEV": "0"}, False),
        ({"LISTEN": "0.0.0.0", "AUTH_DEV": "1"}, True),
        ({"LISTEN": "0.0.0.0"}, None),
    ],
)
def test_others_are_let_in_under_any_name_only_where_that_was_chosen(
    environment: dict[str, str],
    auth_dev: bool | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTH_DEV", interpolated(SERVICES["gateway"]["environment"]["AUTH_DEV"], environment))
    monkeypatch.setenv("JWT_SECRET", "a secret of the tests, long enough for HS256")
    if auth_dev is not None:
        assert load(Settings).auth_dev is auth_dev
        return
    with pytest.raises(SystemExit):
        load(Settings)
    assert capsys.readouterr().err.startswith("AUTH_DEV: Input should be a valid boolean")


def interpolated(text: str, environment: dict[str, str]) -> str:
    """As Compose does it: https://docs.docker.com/reference/compose-file/interpolation/, of which we use two forms."""
    innermost = re.compile(r"\$\{(\w+):([-+])([^${}]*)\}")
    while found := innermost.search(text):
        name, form, other = found.groups()
        value = environment.get(name, "")
        chosen = (value or other) if form == "-" else (other if value else "")
        text = text[: found.start()] + chosen + text[found.end() :]
    return text


@pytest.fixture(params=RABBITMQS)
async def chat(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Composed]:
    """A running chat, of images that were built for this."""
    if reason := missing(request.param):
        pytest.skip(reason)
    async with Composed(request.param, tmp_path) as running:
        yield running


@pytest.mark.timeout(1200)
async def test_it_is_talked_in_replaced_while_people_talk_and_stopped_in_order(chat: Composed) -> None:
    """One test, since its images take a minute to build."""
    async with Rest(chat.url) as rest:
        assert "<!doctype html>" in (await rest.http.get("/")).text
        for private in ("/metrics", "/healthz", "/readyz", "/%6Detrics"):
            assert (await rest.http.get(private)).status_code == 404
    await replaced_while_people_talk(chat)
    for service in OURS:
        for container in await chat.containers(service):
            await keeps_to_its_bounds(chat, container)
            await logs_everything_when_asked_to(chat, container)
    await drains(chat)
    await commands_of_an_operator_run_without_services(chat)


async def replaced_while_people_talk(chat: Composed) -> None:
    async with asyncio.timeout(120):
        await chat.crowd.gather()
    chat.crowd.talk()
    await asyncio.sleep(TALK)
    for service in OURS:
        await chat.replace(service)
    await asyncio.sleep(TALK)
    assert await verdict(chat) == []
    assert chat.notes == []
    assert chat.crowd.acked > 100
    assert not [refused for person in chat.crowd.everybody for refused in person.refused]


async def keeps_to_its_bounds(chat: Composed, container: str) -> None:
    """Not only configured so: it worked within them, as who it is."""
    known = await chat.inspected(container)
    assert known["HostConfig"]["ReadonlyRootfs"] is True
    assert known["HostConfig"]["Memory"] == MEMORY
    assert known["State"]["OOMKilled"] is False
    assert known["RestartCount"] == 0
    status = dict(
        line.split(":\t", 1)
        for line in (await chat.run("docker", "exec", container, "python", "-c", STATUS)).splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


async def logs_everything_when_asked_to(chat: Composed, container: str) -> None:
    """As docs/operations.md says it: the image has a shell, and no program `kill`."""
    await chat.run("docker", "exec", container, "sh", "-c", "kill -USR1 1")

    async def changed() -> bool:
        return "log level changed" in await chat.run("docker", "logs", container)

    await eventually(changed)


async def commands_of_an_operator_run_without_services(chat: Composed) -> None:
    """As docs/operations.md says it, in a container of their own: the services' have to be stopped."""
    alone = ("run", "--rm", "--no-deps", "persister", "palabre")
    await chat.compose("stop", *OURS)
    assert "MongoDB is ready" in await chat.compose(*alone, "prepare")
    assert "This history is" in await chat.compose(*alone, "restored", "--yes")
    await chat.compose("up", "--wait", *TRIED)


async def drains(chat: Composed) -> None:
    async with Rest(chat.url) as rest:
        token = await rest.login("Alice")
        cid = (await rest.create_conversation([]))["id"]
        async with ChatClient.connect(chat.ws, token) as alice:
            await alice.join(cid)
            assert (await alice.send(cid, "in containers"))["seq"] == 1
            stopping = asyncio.create_task(chat.compose("stop", "gateway"))
            code, _ = await alice.closed(timeout=30)
            assert code == 1012
            await stopping
