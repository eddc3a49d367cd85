"""`docs/configuration.md` names every setting with its default; run this file to write it anew."""

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from services.gateway.settings import Settings as Gateway
from services.notifier.settings import Settings as Notifier
from services.persister.settings import Settings as Persister
from services.settings import ServiceSettings, WorkerSettings, load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = """# Configuration

Every setting is an environment variable, read once at the start. A wrong value ends the start with its name.
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


if __name__ == "__main__":
    PAGE.write_text(page())
