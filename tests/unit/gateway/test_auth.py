"""Tokens signed with the keys of a published set; the set is served by a real HTTP server on loopback."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from prometheus_client import REGISTRY

from contracts.errors import ErrorCode, Refusal
from services.gateway import auth
from services.gateway.auth import Verifier
from services.gateway.settings import Settings
from tests.support.eventually import eventually


def private_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


KEY, STRANGER = private_key(), private_key()


def token(key: RSAPrivateKey, kid: str = "k1", **claims: object) -> str:
    body = {"sub": "u1", "name": "Una", "exp": int(time.time()) + 60, **claims}
    return jwt.encode(body, key, algorithm="RS256", headers={"kid": kid})


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    """Trusts the key k1."""
    keys = {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1"}]}
    body = json.dumps(keys).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Verifier(Settings(jwt_jwks_url=f"http://127.0.0.1:{port}/jwks"))


async def refused(verifier: Verifier, bad: str) -> ErrorCode:
    with pytest.raises(Refusal) as caught:
        await verifier.verify(bad)
    return caught.value.code


async def test_a_token_of_the_set_is_accepted(verifier: Verifier) -> None:
    identity = await verifier.verify(token(KEY))
    assert (identity.user_id, identity.profile.user_name) == ("u1", "Una")


async def test_strangers_and_mixed_algorithms_are_refused(verifier: Verifier) -> None:
    assert await refused(verifier, token(STRANGER)) is ErrorCode.INVALID_TOKEN
    assert await refused(verifier, token(KEY, kid="k2")) is ErrorCode.INVALID_TOKEN
    symmetric = jwt.encode({"sub": "u1", "exp": 9e9}, "x" * 40, algorithm="HS256", headers={"kid": "k1"})
    assert await refused(verifier, symmetric) is ErrorCode.INVALID_TOKEN
    assert await refused(verifier, token(KEY, exp=1)) is ErrorCode.TOKEN_EXPIRED


async def test_keys_that_cannot_be_fetched_are_no_verdict_on_the_token() -> None:
    away = Verifier(Settings(jwt_jwks_url="http://127.0.0.1:9/jwks"))
    assert await refused(away, token(KEY)) is ErrorCode.UNAVAILABLE


def fetches(outcome: str) -> float | None:
    return REGISTRY.get_sample_value("palabre_gateway_key_fetches_total", {"outcome": outcome})


async def test_every_fetch_of_the_keys_is_counted_by_what_became_of_it(verifier: Verifier) -> None:
    """An operator is told by this, since people are told to come back and the gateway stays ready."""
    ok, failed = fetches("ok"), fetches("failed")
    assert ok is not None
    assert failed is not None
    await verifier.verify(token(KEY))
    assert (fetches("ok"), fetches("failed")) == (ok + 1, failed)
    await refused(Verifier(Settings(jwt_jwks_url="http://127.0.0.1:9/jwks")), token(KEY))
    assert (fetches("ok"), fetches("failed")) == (ok + 1, failed + 1)


async def test_known_keys_serve_while_the_set_is_away(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    await verifier.verify(token(KEY))
    monkeypatch.setattr(auth, "JWKS_AGE", -1.0)
    monkeypatch.setattr(auth, "JWKS_PAUSE", -1.0)
    monkeypatch.setattr(verifier, "_settings", Settings(jwt_jwks_url="http://127.0.0.1:9/jwks"))
    for _ in range(3):
        assert (await verifier.verify(token(KEY))).user_id == "u1"
    # Who may be signed with a new key is told to come back, not that the token is bad.
    assert await refused(verifier, token(STRANGER, kid="k2")) is ErrorCode.UNAVAILABLE


async def test_many_who_come_at_once_share_one_fetch() -> None:
    """A key set that is away costs everybody one time-out, not one after the other."""
    fetches = 0
    hang_up = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal fetches
        fetches += 1
        await hang_up.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        verifier = Verifier(Settings(jwt_jwks_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"))
        waiting = [asyncio.create_task(refused(verifier, token(KEY))) for _ in range(50)]
        await eventually(lambda: fetches == 1)
        hang_up.set()
        assert set(await asyncio.gather(*waiting)) == {ErrorCode.UNAVAILABLE}
        assert fetches == 1


DROPS = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (DROPS, b" "),
        (DROPS, b" " * 2**16),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b" " * 2**24)),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
        (DROPS + b"[" * 100_000, None),
        (DROPS + b"[]", None),
        (DROPS + b'{"keys": 1}', None),
        (DROPS + b'{"keys": [{"kty": "RSA", "n": 1, "e": {}}]}', None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n", None),
        (b"HTTP/1.1 500 No\r\n\r\n", None),
        (b"220 smtp.example ESMTP\r\n", None),
        (b"", None),
    ],
    ids=[
        "drop by drop",
        "without end",
        "compressed",
        "headers without end",
        "nested",
        "a list",
        "no list",
        "no keys",
        "elsewhere",
        "failing",
        "not HTTP",
        "nothing",
    ],
)
async def test_whatever_stands_in_for_a_key_set_is_given_up(
    head: bytes, again: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it is told to come back, and a gateway neither waits nor reads for ever."""
    monkeypatch.setattr(auth, "JWKS_TIMEOUT", 0.5)
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with suppress(ConnectionError):
            while again is not None and not done.is_set():
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        verifier = Verifier(Settings(jwt_jwks_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"))
        try:
            assert await refused(verifier, token(KEY)) is ErrorCode.UNAVAILABLE
        finally:
            done.set()


@pytest.mark.parametrize("part", [b"[" * 5000, b'{"a":' * 1200], ids=["lists", "objects"])
async def test_a_token_that_is_nested_without_end_is_no_failure_of_ours(verifier: Verifier, part: bytes) -> None:
    nested = base64.urlsafe_b64encode(part).decode().rstrip("=")
    assert await refused(verifier, f"{nested}.{nested}.x") is ErrorCode.INVALID_TOKEN
    assert await refused(Verifier(Settings(auth_dev=True)), f"{nested}.{nested}.x") is ErrorCode.INVALID_TOKEN


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
async def test_a_name_that_cannot_be_stored_is_refused(verifier: Verifier, text: str) -> None:
    assert await refused(verifier, token(KEY, name=text)) is ErrorCode.INVALID_TOKEN


@pytest.mark.parametrize("secret", ["", "short"])
def test_production_refuses_the_development_secret_and_short_ones(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)  # an empty variable is none
    with pytest.raises(ValueError, match="JWT_SECRET"):
        Settings(auth_dev=False)
