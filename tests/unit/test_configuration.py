"""`docs/configuration.md` names every setting with its default; run this file to write it anew."""

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.gateway.settings import Settings as Gateway
from services.notifier.settings import Settings as Notifier
from services.persister.settings import Settings as Persister
from services.settings import ServiceSettings, WorkerSettings, load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = """# Configuration

Every setting is an environment variable, read once at the start. Wrong values end the start, which names them all.
`palabre config gateway` (or `persister`, `notifier`) prints what is in force in its environment, secrets masked. SIGUSR1
makes a running service log everything, SIGUSR2 what `LOG_LEVEL` says again.

`make run` passes its environment on to every service.
"""


def page() -> str:
    """The page as it should be."""
    common = set(ServiceSettings.model_fields)
    worker = set(WorkerSettings.model_fields)
    return HEAD + "".join(
        f"\n## {title}\n\n| variable | default | what |\n|---|---|---|\n" + _rows(kind, without)
        for title, kind, without in (
            ("Every service", ServiceSettings, set[str]()),
            ("Gateway", Gateway, common),
            ("Persister and notifier", WorkerSettings, common),
            ("Persister", Persister, worker),
            ("Notifier", Notifier, worker),
        )
    )


def _rows(kind: type[BaseSettings], without: set[str]) -> str:
    fields = {name: field for name, field in kind.model_fields.items() if name not in without}
    return "".join(
        f"| `{name.upper()}` | {_default(name, field.default)} | {field.description} |\n"
        for name, field in fields.items()
    )


def _default(name: str, value: object) -> str:
    if name == "jwt_secret":
        return "a development secret, refused unless `AUTH_DEV=1`"
    if value is None or value in ("", ()):
        return "none"
    return f"`{int(value) if isinstance(value, bool) else value}`"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == page()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AMQP_URL", "http://127.0.0.1"),
        ("AMQP_URL", "amqp://127.0.0.1:port/"),
        ("AMQP_URL", "rabbit"),
        ("MONGODB_URL", "mongodb://"),
        ("MONGODB_DATABASE", "a/b$"),
        ("PREFIX", "a b*#"),
        ("PARTITIONS", "0"),
        ("SHUTDOWN_TIMEOUT", "inf"),
        ("PORT", "http"),
        ("SEND_TIMEOUT", "0"),
        ("JWT_JWKS_URL", "keys"),
        ("ALLOWED_ORIGINS", "https://a.example, garbage"),
        ("RATE_SENDS", "many"),
    ],
)
def test_a_bad_variable_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTH_DEV", "1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load(Gateway)
    assert ended.value.code == 2
    assert variable in capsys.readouterr().err


def test_everything_that_is_wrong_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "AMQP_URL": "rabbit",
        "PORT": "http",
        "JWT_SECRET": "short",
        "ALLOWED_ORIGINS": "garbage",
        "WEB_HOST_ORIGINS": "*",
        "WEB_OIDC_CLIENT_ID": "without an issuer",
    }
    for variable, value in wrong.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        load(Gateway)
    told = capsys.readouterr().err
    assert sorted(line.split(":")[0] for line in told.splitlines()) == sorted(wrong)
    assert "short" not in told


def test_what_is_in_force_is_printed_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqps://palabre:hid:den@@rabbit:5671/chat?x=1")
    monkeypatch.setenv(
        "MONGODB_URL", "mongodb://palabre:hidden@a,b/?replicaSet=rs0&tlsCertificateKeyFilePassword=hidden"
    )
    monkeypatch.setenv("JWT_SECRET", "hidden" * 10)
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example, https://b.example")
    printed = CliRunner().invoke(app, ["config", "gateway", "--changed"])
    assert printed.exit_code == 0
    assert printed.stdout.splitlines() == [
        "AMQP_URL=amqps://palabre:****@rabbit:5671/chat?x=1",
        "MONGODB_URL=mongodb://palabre:****@a,b/?replicaSet=rs0&tlsCertificateKeyFilePassword=****",
        "JWT_SECRET=****",
        "ALLOWED_ORIGINS=https://a.example,https://b.example",
    ]
    everything = CliRunner().invoke(app, ["config", "gateway"]).stdout
    assert {line.split("=")[0] for line in everything.splitlines()} == {name.upper() for name in Gateway.model_fields}
    assert "hidden" not in everything
    assert "hid:den" not in everything


if __name__ == "__main__":
    PAGE.write_text(page())
