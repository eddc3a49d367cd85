"""`palabre token --scope`: what it prints is a service account's token for a gateway with the same settings."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from contracts.scopes import Scope
from services.cli.__main__ import app
from services.cli.token import service_id
from services.gateway.auth import Verifier
from services.gateway.settings import Settings

SECRET = "a secret of the tests, long enough for HS256"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("JWT_ISSUER", "https://id.example")
    monkeypatch.setenv("JWT_AUDIENCE", "palabre")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["token", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("environment")
async def test_a_gateway_takes_it() -> None:
    code, token, said = run("Hello bot", "--scope", "messages:read messages:write", "--days", "2")
    assert code == 0
    identity = await Verifier(Settings()).verify(token.strip())
    assert (identity.user_id, identity.profile.user_name) == ("service-hello-bot", "Hello bot")
    assert identity.scopes == frozenset[Scope](("messages:read", "messages:write"))
    assert timedelta(days=1.9) < identity.expires_at - datetime.now(UTC) <= timedelta(days=2)
    assert "service-hello-bot" in said
    assert SECRET not in token + said


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Bot", "--scope", "messages:raed"), "messages:raed"),
        (("Bot", "--scope", " "), "messages:read"),
        (("Bot", "--scope", "messages:read", "--id", "x" * 65), "64"),
        (("机器人", "--scope", "messages:read"), "--id"),
        (("Alice", "--id", "alice"), "--scope"),
    ],
)
def test_what_makes_no_token_is_said(arguments: tuple[str, ...], why: str) -> None:
    code, token, said = run(*arguments)
    assert (code, token) == (2, "")
    assert why in said


def test_a_forgotten_secret_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET", raising=False)
    assert "development secret" in run("Bot", "--scope", "messages:read")[2]


def test_where_a_provider_signs_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_JWKS_URL", "https://id.example.com/keys")
    code, token, said = run("Bot", "--scope", "messages:read")
    assert (code, token) == (1, "")
    assert "that provider only" in said


@pytest.mark.parametrize(
    ("name", "made"),
    [("Hello bot", "service-hello-bot"), ("  CI/CD! ", "service-ci-cd"), ("x" * 99, f"service-{'x' * 56}")],
)
def test_an_id_is_made_from_a_name(name: str, made: str) -> None:
    assert service_id(name) == made
