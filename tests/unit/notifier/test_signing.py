"""Receivers that know nothing of us verify what we sign."""

import json
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notifier.webhook import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_the_vector_of_the_specification() -> None:
    signature = signing.sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_either_secret_verifies_with_the_library_of_the_specification(secret: str) -> None:
    body = json.dumps({"é": "ü"}).encode()
    headers = signing.headers([SECRET, OTHER], "id", int(time.time()), body)
    assert Webhook(secret).verify(body, headers) == {"é": "ü"}


@pytest.mark.parametrize(
    "changed",
    [{"webhook-id": "other"}, {"webhook-timestamp": str(int(time.time()) - 1)}, {"webhook-signature": "v1,AAAA"}],
)
def test_nothing_can_be_changed_on_the_way(changed: dict[str, str]) -> None:
    headers = {**signing.headers([SECRET], "id", int(time.time()), b"{}"), **changed}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(b"{}", signing.headers([SECRET], "id", int(time.time()), b"{}"))


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_é", "whsec_a"])
def test_what_is_no_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|base64|ASCII|[Pp]adding"):
        signing.sign(secret, "id", 1, b"")
