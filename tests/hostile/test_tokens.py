"""Tokens that were tampered with, over WebSocket and REST, at a gateway with a secret and at one with a key set."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.logs import Logs, other_gateway
from tests.support.system import JWT_SECRET, Process, System

pytestmark = pytest.mark.e2e

KEY = generate_private_key(public_exponent=65537, key_size=2048)
NEXT_KEY = generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class KeySet:
    """A published key set that can be changed."""

    def __init__(self) -> None:
        self.keys = {"k1": KEY}
        self.more: list[dict[str, Any]] = []
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        public = [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
            for kid, key in self.keys.items()
        ]
        body = json.dumps({"keys": [*public, *self.more]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
async def key_set() -> AsyncIterator[tuple[KeySet, str]]:
    keys = KeySet()
    async with await asyncio.start_server(keys.serve, "127.0.0.1", 0) as server:
        yield keys, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"


@pytest.fixture(scope="module")
async def published(system: System, key_set: tuple[KeySet, str]) -> AsyncIterator[Process]:
    """A gateway that trusts the published keys."""
    async with other_gateway(system, Logs([]), JWT_JWKS_URL=key_set[1]) as gateway:
        yield gateway


def claims(**more: Any) -> dict[str, Any]:
    body = {"sub": "mallory", "name": "Mallory", "exp": int(time.time()) + 300, **more}
    return {name: value for name, value in body.items() if value is not ...}


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forged(header: Any, body: Any, key: bytes = b"", digest: Any = hashlib.sha256) -> str:
    """Put together by hand; signed by HMAC, whatever the header says, or not at all."""
    text = f"{encoded(header)}.{encoded(body)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), digest).digest()) if key else ''}"


def hs256(body: Any = None, secret: str = JWT_SECRET, **header: Any) -> str:
    return forged({"alg": "HS256", "typ": "JWT", **header}, claims() if body is None else body, secret.encode())


def rs256(key: RSAPrivateKey = KEY, kid: Any = "k1", body: dict[str, Any] | None = None) -> str:
    return jwt.encode(body or claims(), key, algorithm="RS256", headers={"kid": kid})


async def refused_everywhere(gateway: Process, token: str) -> tuple[str, str]:
    """The code over WebSocket, after which the socket is closed for good, and that over REST."""
    async with ChatClient.connect(gateway.ws) as client:
        with pytest.raises(SendRefused) as refused:
            await client.authenticate(token)
        assert refused.value.frame["type"] == "auth_error"
        assert (await client.closed())[0] == 4500
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as http:
        answer = await http.get(
            "/api/me", headers=[(b"Authorization", b"Bearer " + token.encode("latin-1", "replace"))]
        )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    return refused.value.code, answer.json()["code"]


async def accepted(gateway: Process, token: str) -> str:
    """Whose token it is, over WebSocket and REST."""
    async with ChatClient.connect(gateway.ws, token) as client, Rest(gateway.url, token) as rest:
        assert client.user_id == (await rest.me())["userId"]
        return client.user_id


Make = Callable[[], str]
WITH_SECRET: dict[str, Make] = {
    "none": lambda: forged({"alg": "none"}, claims()),
    "None": lambda: forged({"alg": "None"}, claims()),
    "nOnE, signed": lambda: forged({"alg": "nOnE"}, claims(), JWT_SECRET.encode()),
    "no alg": lambda: forged({"typ": "JWT"}, claims(), JWT_SECRET.encode()),
    "alg is a list": lambda: forged({"alg": ["HS256"]}, claims(), JWT_SECRET.encode()),
    "alg is null": lambda: forged({"alg": None}, claims(), JWT_SECRET.encode()),
    "another algorithm": lambda: forged({"alg": "HS512"}, claims(), JWT_SECRET.encode(), hashlib.sha512),
    "RS256": rs256,
    "no secret": lambda: hs256(secret=" "),
    "another secret": lambda: hs256(secret="another secret of the tests, long enough"),
    "signature cut off": lambda: hs256().rpartition(".")[0] + ".",
    "two parts": lambda: hs256().rpartition(".")[0],
    "four parts": lambda: hs256() + ".x",
    "changed": lambda: hs256()[:-3] + "AAA",
    "empty parts": lambda: "..",
    "a word": lambda: "token",
    "not base64": lambda: "é.é.é",
    "header is no object": lambda: forged([], claims(), JWT_SECRET.encode()),
    "header is no JSON": lambda: forged(b"{", claims(), JWT_SECRET.encode()),
    "header is no text": lambda: forged(b"\xff", claims(), JWT_SECRET.encode()),
    "header in header": lambda: forged(b"[" * 5000, claims(), JWT_SECRET.encode()),
    "header in header in an object": lambda: forged(b'{"a":' * 1200 + b"1" + b"}" * 1200, claims()),
    "body is no object": lambda: hs256([]),
    "body in body": lambda: hs256(b"[" * 5000),
    "body is no text": lambda: hs256(b"\xff"),
    "a token in the token": lambda: hs256(hs256().encode()),
    "huge": lambda: hs256(claims(filler="x" * 20_000)),
    "crit": lambda: hs256(crit=["b64"], b64=False),
    "crit nobody knows": lambda: hs256(crit=["exp-strict"]),
    "crit is no list": lambda: hs256(crit="b64"),
    "crit is empty": lambda: hs256(crit=[]),
    "b64 without crit": lambda: hs256(b64=False),
    "kid is a number": lambda: hs256(kid=1),
    "no exp": lambda: hs256(claims(exp=...)),
    "exp is a word": lambda: hs256(claims(exp="never")),
    "exp is null": lambda: hs256(claims(exp=None)),
    "exp is a list": lambda: hs256(claims(exp=[9999999999])),
    "exp is infinite": lambda: hs256(b'{"sub":"mallory","exp":Infinity}'),
    "exp is not a number": lambda: hs256(b'{"sub":"mallory","exp":NaN}'),
    "exp is beyond time": lambda: hs256(claims(exp=10**30)),
    "exp is beyond digits": lambda: hs256(b'{"sub":"mallory","exp":' + b"9" * 5000 + b"}"),
    "nbf to come": lambda: hs256(claims(nbf=int(time.time()) + 3600)),
    "iat to come": lambda: hs256(claims(iat=int(time.time()) + 3600)),
    "iat is a word": lambda: hs256(claims(iat="yesterday")),
    "no sub": lambda: hs256(claims(sub=...)),
    "sub is empty": lambda: hs256(claims(sub="")),
    "sub is a number": lambda: hs256(claims(sub=1)),
    "sub is an operator": lambda: hs256(claims(sub={"$ne": None})),
    "sub is a list": lambda: hs256(claims(sub=["alice"])),
    "sub is too long": lambda: hs256(claims(sub="x" * 65)),
    "sub with a NUL": lambda: hs256(claims(sub="a\0b")),
    "sub with half a character": lambda: hs256(claims(sub="\ud800")),
    "userId is an operator": lambda: hs256(claims(sub=..., userId={"$gt": ""})),
}


@pytest.mark.parametrize("make", WITH_SECRET.values(), ids=WITH_SECRET)
async def test_with_a_secret(gateway: Process, make: Make) -> None:
    assert await refused_everywhere(gateway, make()) == ("INVALID_TOKEN", "INVALID_TOKEN")


async def test_an_expired_one(gateway: Process) -> None:
    token = hs256(claims(exp=int(time.time()) - 3600))
    assert await refused_everywhere(gateway, token) == ("TOKEN_EXPIRED", "TOKEN_EXPIRED")


async def test_good_ones(gateway: Process) -> None:
    assert await accepted(gateway, hs256()) == "mallory"
    assert await accepted(gateway, hs256(kid="../../dev/null")) == "mallory"  # no key is looked for
    assert await accepted(gateway, hs256(claims(sub=..., userId="of-the-seed"))) == "of-the-seed"
    assert await accepted(gateway, hs256(claims(picture="javascript:alert(1)", name={"$ne": 1}))) == "mallory"


WITH_KEYS: dict[str, Make] = {
    "none": lambda: forged({"alg": "none", "kid": "k1"}, claims()),
    "the public key as a secret (PEM)": lambda: forged({"alg": "HS256", "kid": "k1"}, claims(), PEM),
    "the public key as a secret (PEM, stripped)": lambda: forged({"alg": "HS256", "kid": "k1"}, claims(), PEM.strip()),
    "the public key as a secret (DER)": lambda: forged({"alg": "HS256", "kid": "k1"}, claims(), DER),
    "RS256 that is an HMAC": lambda: forged({"alg": "RS256", "kid": "k1"}, claims(), PEM),
    "the secret": lambda: hs256(kid="k1"),
    "the secret, without kid": hs256,
    "ES256 with an RSA key": lambda: forged({"alg": "ES256", "kid": "k1"}, claims(), PEM),
    "EdDSA with an RSA key": lambda: forged({"alg": "EdDSA", "kid": "k1"}, claims(), PEM),
    "PS256": lambda: jwt.encode(claims(), KEY, algorithm="PS256", headers={"kid": "k1"}),
    "another key under the kid": lambda: rs256(STRANGER),
    "its own key in the header": lambda: jwt.encode(
        claims(),
        STRANGER,
        algorithm="RS256",
        headers={"kid": "k1", "jwk": jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)},
    ),
    "its own key set": lambda: jwt.encode(
        claims(), STRANGER, algorithm="RS256", headers={"kid": "k1", "jku": "http://127.0.0.1:9/keys"}
    ),
    "a symmetric key of the set": lambda: hs256(secret="s" * 40, kid="symmetric"),
    "kid is a number": lambda: forged({"alg": "RS256", "kid": 1}, claims(), PEM),
    "kid is an operator": lambda: forged({"alg": "RS256", "kid": {"$ne": None}}, claims(), PEM),
    "kid is null": lambda: forged({"alg": "RS256", "kid": None}, claims(), PEM),
    "header in header": lambda: forged(b"[" * 5000, claims(), PEM),
}
UNKNOWN_KEY: dict[str, Make] = {
    "another kid": lambda: rs256(KEY, kid="k2"),
    "a path": lambda: rs256(STRANGER, kid="../../../../dev/null"),
    "a query": lambda: rs256(STRANGER, kid="k1' OR '1'='1"),
    "empty": lambda: rs256(STRANGER, kid=""),
}


@pytest.mark.parametrize("make", WITH_KEYS.values(), ids=WITH_KEYS)
async def test_with_keys(published: Process, key_set: tuple[KeySet, str], make: Make) -> None:
    key_set[0].more = [{"kty": "oct", "kid": "symmetric", "k": encoded(b"s" * 40)}]
    assert await refused_everywhere(published, make()) == ("INVALID_TOKEN", "INVALID_TOKEN")


async def test_unknown_keys_make_the_gateway_ask_once(published: Process, key_set: tuple[KeySet, str]) -> None:
    """They wait together for one look at the key set, and a gateway asks for no more than one in two seconds."""
    before = key_set[0].asked
    codes = await asyncio.gather(*(refused_everywhere(published, make()) for make in UNKNOWN_KEY.values()))
    assert set(codes) == {("INVALID_TOKEN", "INVALID_TOKEN")}
    assert key_set[0].asked - before <= 2, "one for those over WebSocket, one for those over REST"


async def test_keys_are_rotated(published: Process, key_set: tuple[KeySet, str]) -> None:
    """A new key is found by its kid, beside the old one and after it."""
    keys, _ = key_set
    assert await accepted(published, rs256()) == "mallory"
    keys.keys = {"k1": KEY, "next": NEXT_KEY}
    assert await accepted(published, rs256(NEXT_KEY, kid="next")) == "mallory"
    assert await accepted(published, rs256()) == "mallory"
    keys.keys = {"next": NEXT_KEY}
    await refused_everywhere(published, rs256(STRANGER, kid="a look at the set"))
    assert await refused_everywhere(published, rs256()) == ("INVALID_TOKEN", "INVALID_TOKEN")
    keys.keys = {"k1": KEY}


async def test_a_gateway_without_its_keys_asks_to_come_back(system: System, logs: Logs) -> None:
    async with (
        other_gateway(system, logs, JWT_JWKS_URL="http://user:the-password@127.0.0.1:9/keys") as gateway,
        ChatClient.connect(gateway.ws) as client,
        httpx.AsyncClient(base_url=gateway.url, trust_env=False) as http,
    ):
        with pytest.raises(SendRefused) as refused:
            await client.authenticate(rs256())
        assert refused.value.code == "UNAVAILABLE"
        assert (await client.closed())[0] == 4003
        answer = await http.get("/api/me", headers={"Authorization": f"Bearer {rs256()}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert "the-password" not in gateway.log.read_text()
