"""Endpoints that are slow, wrong or hostile cost a bounded time and memory, and their status decides."""

import asyncio
import datetime
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifier import addresses, endpoints
from services.notifier.addresses import Resolver
from services.notifier.endpoints import Answer, Endpoints
from tests.support.eventually import eventually
from tests.support.receiver import Behaviour, Receiver, endless, raw, stall, status

LOOPBACK = [ip_network("127.0.0.0/8")]
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


PATIENT = 60  # seconds: for what is answered, however slow the machine is


@pytest.fixture
async def ours() -> AsyncIterator[Endpoints]:
    ours = Endpoints(Resolver(LOOPBACK), connect_timeout=PATIENT, timeout=PATIENT, connections=10)
    yield ours
    await ours.close()


@pytest.fixture
def impatient(ours: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    """The same, who waits for next to nothing, until `monkeypatch.undo()`."""
    monkeypatch.setattr(endpoints, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(ours, "_timeout", 0.5)
    return ours


async def call(ours: Endpoints, receiver: Receiver, behave: Behaviour) -> Answer:
    receiver.behave = behave
    return await ours.post(receiver.url, {"webhook-id": "1"}, b"{}")


async def test_what_is_sent(ours: Endpoints, receiver: Receiver) -> None:
    answer = await ours.post(receiver.url + "?a=b", {"content-type": "text/x", "webhook-id": "1"}, b"{}")
    assert (answer.outcome, answer.status) == ("delivered", 200)
    (call,) = receiver.calls
    assert (call.line, call.body) == ("POST /hook?a=b HTTP/1.1", b"{}")
    assert call.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "text/x",
        "webhook-id": "1",
        "content-length": "2",
    }


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (400, "refused"),
        (404, "refused"),
        (410, "gone"),
        (500, "refused"),
        (503, "refused"),
    ],
)
async def test_the_status_decides(ours: Endpoints, receiver: Receiver, code: int, outcome: str) -> None:
    answer = await call(ours, receiver, status(code, b"" if code == 204 else b"why"))
    assert (answer.outcome, answer.status) == (outcome, code)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(ours: Endpoints, receiver: Receiver, code: int) -> None:
    async with Receiver() as elsewhere:
        answer = await call(ours, receiver, status(code, location=elsewhere.url))
        assert (answer.outcome, answer.status) == ("refused", code)
        assert not elsewhere.calls


@pytest.mark.parametrize(
    "behave",
    [
        endless(OK + b"content-length: 99999999999\r\n\r\n"),
        endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        endless(OK + b"content-length: 99999\r\n\r\n", b"x", 0.01),
        raw(OK + b"content-length: 99999\r\n\r\nxxx"),
        raw(OK + b"content-length: 1\r\n\r\n" + b"x" * 5000),
        raw(OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\nxxx"),
        raw(OK + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nxxx"),
        raw(OK + b"content-length: 99999\r\n\r\n", close=False),
        raw(OK + b"\r\nx"),
    ],
    ids=["huge", "huge-chunked", "drip", "short", "long", "no-chunks", "no-gzip", "no-body", "no-length"],
)
async def test_a_body_that_lies_changes_nothing_and_its_beginning_is_kept(
    ours: Endpoints, receiver: Receiver, behave: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "BODY_SECONDS", 0.1)
    tracemalloc.start()
    answer = await call(ours, receiver, behave)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.outcome, answer.status) == ("delivered", 200)
    assert len(answer.body or "") <= endpoints.KEPT
    assert peak < 4_000_000
    # It is over with: the next call is answered.
    monkeypatch.undo()
    assert (await call(ours, receiver, status(201, b"next"))).body == "next"


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (stall, "timeout"),
        (endless(b"HTTP/1.1 2", b"0", 0.01), "connection"),  # longer than a status line may be, or late
        (endless(OK, b"x: y\r\n", 0.01), "timeout"),
        (endless(OK + b"x: "), "connection"),
        (raw(b""), "connection"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "connection"),
        (raw(b"\x15\x03\x01\x00\x02\x02\x46"), "connection"),
    ],
    ids=["stall", "status-drip", "header-drip", "huge-header", "hang-up", "ssh", "tls"],
)
async def test_what_is_no_answer_in_time(
    impatient: Endpoints, receiver: Receiver, behave: Behaviour, outcome: str
) -> None:
    answer = await call(impatient, receiver, behave)
    assert answer.outcome in {outcome, "timeout"}
    assert (answer.status, answer.body) == (None, None)
    assert answer.error


async def test_a_call_that_is_given_up_is_hung_up(
    impatient: Endpoints, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await asyncio.gather(*(call(impatient, receiver, stall) for _ in range(5)))
    assert {answer.outcome for answer in answers} == {"timeout"}
    monkeypatch.undo()
    connected = receiver.connections
    receiver.behave = status(200)
    answers = await asyncio.gather(*(impatient.post(receiver.url, {}, b"") for _ in range(10)))
    assert {answer.outcome for answer in answers} == {"delivered"}
    assert receiver.connections > connected  # none of the stalled connections is used again


async def test_a_connection_is_kept_for_the_next_call(ours: Endpoints, receiver: Receiver) -> None:
    for _ in range(3):
        await call(ours, receiver, status(200, b"short"))
    assert receiver.connections == 1


async def test_an_endpoint_says_when_to_come_back(ours: Endpoints, receiver: Receiver) -> None:
    assert (await call(ours, receiver, status(429, Retry_After="120"))).retry_after == 120
    assert (await call(ours, receiver, status(429, Retry_After="soon"))).retry_after == 0
    in_a_while, long_ago = (
        format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours), usegmt=True)
        for hours in (1, -1)
    )
    assert 3500 < (await call(ours, receiver, status(429, Retry_After=in_a_while))).retry_after <= 3600
    assert (await call(ours, receiver, status(429, Retry_After=long_ago))).retry_after == 0
    assert (await call(ours, receiver, status(429, Retry_After="9" * 30))).retry_after == 0
    for hostile in ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"):
        assert (await call(ours, receiver, status(429, Retry_After=hostile))).retry_after == 0


async def test_nobody_there(ours: Endpoints, receiver: Receiver) -> None:
    async with Receiver() as gone:
        url = gone.url
    answer = await ours.post(url, {}, b"")
    assert (answer.outcome, answer.error) == ("connection", "no connection")
    assert (await ours.post("http://no-such-name.invalid/", {}, b"")).outcome == "connection"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://", "http://[::1", "nonsense", "http://a b/", "http://127.0.0.1:99999/"]
)
async def test_what_is_no_url_is_an_answer_too(ours: Endpoints, url: str) -> None:
    assert (await ours.post(url, {}, b"")).outcome in {"connection", "forbidden_address"}


async def test_private_networks_are_not_called(receiver: Receiver) -> None:
    ours = Endpoints(Resolver(), connect_timeout=PATIENT, timeout=PATIENT, connections=10)
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost"), receiver.url.replace("http", "https")):
        answer = await ours.post(url, {}, b"")
        assert (answer.outcome, answer.error) == ("forbidden_address", "this address may not be called")
    assert not receiver.connections
    await ours.close()


async def test_a_name_that_changes_its_mind_is_asked_once(
    ours: Endpoints, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [[ip_address("127.0.0.1")], [ip_address("10.0.0.1")]]
    monkeypatch.setattr(addresses, "addresses_of", lambda *_: answers.pop(0))
    assert (await ours.post(f"http://rebinding.example:{receiver.port}/", {}, b"")).outcome == "delivered"
    assert receiver.calls[0].headers["host"] == f"rebinding.example:{receiver.port}"
    assert len(answers) == 1


async def test_the_second_address_is_tried_when_the_first_is_not_there(
    ours: Endpoints, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "addresses_of", lambda *_: [ip_address("127.0.0.9"), ip_address("127.0.0.1")])
    assert (await ours.post(f"http://two.example:{receiver.port}/", {}, b"")).outcome == "delivered"


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's, signed by itself; `folder/ca.pem` trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    moment = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(days=1))
        .not_valid_after(moment + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


async def test_a_certificate_must_be_of_the_name_that_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path, "good.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(addresses, "addresses_of", lambda *_: [ip_address("127.0.0.1")])
    ours = Endpoints(Resolver(LOOPBACK), connect_timeout=PATIENT, timeout=PATIENT, connections=10)
    async with Receiver(tls=tls) as receiver:
        good = await ours.post(f"https://good.example:{receiver.port}/", {}, b"")
        bad = await ours.post(f"https://bad.example:{receiver.port}/", {}, b"")
        assert good.outcome == "delivered"
        assert bad.outcome == "connection"
        assert "certificate is not valid" in (bad.error or "")
        assert len(receiver.calls) == 1
        await ours.close()
    await eventually(lambda: receiver.open == 0)
