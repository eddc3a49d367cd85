"""What a push service and a browser get: RFC 8291's own example, headers, and what answers mean."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from contracts.notifying import Delivery
from contracts.push import decode
from services.notifier import webpush

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
# RFC 8291, section 5 and appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
EXAMPLE = {
    "as_private": "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
    "ua_public": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    "salt": "DGv6ra1nlYgDCS1FRnbzlw",
    "message": (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    ),
}


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def delivery(**fields: Any) -> Delivery:
    return Delivery(
        **{
            "id": "c1:7:bob",
            "user_id": "bob",
            "conversation_id": "c1",
            "conversation_name": "Team",
            "kind": "message",
            "message_id": "m1",
            "seq": 7,
            "sender_name": "Alice",
            "preview": "hello",
            "created_at": NOW,
            "expires_at": NOW + timedelta(hours=1),
            **fields,
        }
    )


def test_a_message_is_encrypted_as_in_the_example_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    private = int.from_bytes(decode(EXAMPLE["as_private"]))
    monkeypatch.setattr(ec, "generate_private_key", lambda curve: ec.derive_private_key(private, curve))
    monkeypatch.setattr(http_ece.os, "urandom", lambda size: decode(EXAMPLE["salt"])[:size])
    body = webpush.encrypt(PLAINTEXT, EXAMPLE["ua_public"], EXAMPLE["auth"])
    assert encode(body) == EXAMPLE["message"]


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", EXAMPLE["auth"]), ("AAAA", EXAMPLE["auth"]), (encode(b"\4" + b"\1" * 64), EXAMPLE["auth"]), ("é", "")],
)
def test_keys_that_are_none_are_unusable(p256dh: str, auth: str) -> None:
    with pytest.raises(webpush.Unusable):
        webpush.encrypt(b"hello", p256dh, auth)


def test_a_push_service_learns_who_we_are_and_nothing_else() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    raw = key.private_numbers().private_value.to_bytes(32)
    vapid = webpush.Vapid(encode(raw), "mailto:admin@example.org")
    header = vapid.authorization("https://push.example/send/secret?token=x")
    scheme, _, rest = header.partition(" ")
    fields = dict(part.split("=", 1) for part in rest.split(","))
    public = key.public_key()
    assert scheme == "vapid"
    assert fields["k"] == encode(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    claims = jwt.decode(fields["t"], public, algorithms=["ES256"], audience="https://push.example")
    assert claims.keys() == {"aud", "sub", "exp"}
    assert claims["sub"] == "mailto:admin@example.org"
    assert timedelta(hours=6) <= datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC) <= timedelta(hours=12)
    assert vapid.authorization("https://push.example/send/other") == header
    assert vapid.authorization("https://other.example/send/secret") != header


def test_a_wrong_key_is_not_told() -> None:
    with pytest.raises(ValueError, match="palabre vapid") as refused:
        webpush.Vapid("a secret that is no key", "mailto:admin@example.org")
    assert "secret" not in str(refused.value)


def test_headers_say_how_long_how_urgent_and_instead_of_what() -> None:
    ordinary = webpush.headers(delivery(), "vapid …", NOW)
    assert (ordinary["TTL"], ordinary["Urgency"]) == ("3600", "normal")
    assert webpush.headers(delivery(kind="mention"), "", NOW)["Urgency"] == "high"
    assert webpush.headers(delivery(), "", NOW + timedelta(hours=2))["TTL"] == "0"
    assert len(ordinary["Topic"]) == 32
    assert webpush.headers(delivery(seq=8), "", NOW)["Topic"] == ordinary["Topic"]
    assert webpush.headers(delivery(conversation_id="c2"), "", NOW)["Topic"] != ordinary["Topic"]


def test_without_content_nothing_of_it_is_there() -> None:
    body = orjson.loads(webpush.payload(delivery(kind="mention"), with_content=False))
    assert body == {
        "id": "c1:7:bob",
        "kind": "message",
        "conversationId": "c1",
        "seq": 7,
        "count": 1,
        "createdAt": 1769860800000,
    }


def test_with_content_it_says_who_where_and_what() -> None:
    body = orjson.loads(webpush.payload(delivery(kind="mention", count=3), with_content=True))
    assert (body["kind"], body["count"]) == ("mention", 3)
    assert (body["conversationName"], body["senderName"], body["preview"]) == ("Team", "Alice", "hello")


text = st.text(st.characters(codec="utf-8"))


@given(preview=text | st.text('\0😀"é', min_size=900, max_size=1000), name=st.text("\0😀a", max_size=200))
def test_it_always_fits(preview: str, name: str) -> None:
    one = delivery(preview=preview, sender_name=name, conversation_name=name)
    body = webpush.payload(one, with_content=True)
    assert len(body) <= webpush.PAYLOAD_BYTES
    assert orjson.loads(body)["conversationId"] == "c1"
    assert len(webpush.encrypt(body, EXAMPLE["ua_public"], EXAMPLE["auth"])) <= 4096


def test_of_what_is_too_long_the_beginning_is_shown() -> None:
    shown = orjson.loads(webpush.payload(delivery(preview="😀" * 1000), with_content=True))["preview"]
    assert shown.startswith("😀" * 900)
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        ("sent", [200, 201, 202, 204]),
        ("gone", [404, 410]),
        ("again", [None, 408, 425, 429, 500, 502, 503, 504]),
        ("refused", [301, 307, 400, 401, 403, 413]),
    ],
)
def test_what_answers_mean(outcome: webpush.Outcome, statuses: list[int | None]) -> None:
    assert [webpush.outcome_of(status) for status in statuses] == [outcome] * len(statuses)
