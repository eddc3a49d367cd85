"""`palabre token`: a development token for a person, or a service account's token, which this command signs itself."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from contracts import limits
from contracts.scopes import SCOPES
from services.cli.chat import Url, run
from services.cli.gateway import Rest, gateway_urls
from services.settings import DEVELOPMENT_SECRET, TokenSettings, load
from services.tokens import sign


def token(
    name: Annotated[str, typer.Argument(help="A person's or a service account's name.")],
    url: Url = None,
    scope: Annotated[
        str | None,
        typer.Option(help=f"Make it a service account's token, for these, separated by spaces: {', '.join(SCOPES)}."),
    ] = None,
    user_id: Annotated[
        str | None, typer.Option("--id", help="The service account's user id. Default: made from NAME.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.001, max=3650, help="How long a service account's token is good.")] = 90,
) -> None:
    """Print a token for NAME, and nothing else.

    Without --scope it is a development token, which a gateway with AUTH_DEV=1 gives. With --scope it is signed here (HS256)
    with JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE of the environment, which must be those of the gateways.
    """
    if scope is not None:
        print(_service_token(name, user_id, scope, timedelta(days=days)))
        return
    if user_id is not None:
        raise typer.BadParameter("--id is for service accounts, with --scope")

    async def show() -> None:
        print(await Rest(gateway_urls(url)[0]).development_token(name))

    run(show)


def service_id(name: str) -> str:
    """`Hello bot` → `service-hello-bot`: not what a person would be called. Raises typer.BadParameter for `机器人`."""
    letters = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    if not letters:
        raise typer.BadParameter("this name makes no id; give one with --id")
    return f"service-{letters}"[: limits.ID_LENGTH]


def _service_token(name: str, user_id: str | None, scope: str, lifetime: timedelta) -> str:
    scopes = list(dict.fromkeys(scope.split()))
    if unknown := [one for one in scopes if one not in SCOPES]:
        raise typer.BadParameter(f"there is no scope {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    if not scopes:
        raise typer.BadParameter(f"name one of {', '.join(SCOPES)}")
    user_id = user_id or service_id(name)
    if len(user_id) > limits.ID_LENGTH:
        raise typer.BadParameter(f"an id has at most {limits.ID_LENGTH} characters")
    settings = load(TokenSettings)
    if settings.jwt_jwks_url is not None:
        print(
            "With JWT_JWKS_URL, gateways take tokens of that provider only: it has to sign this one.", file=sys.stderr
        )
        raise typer.Exit(1)
    if settings.jwt_secret.get_secret_value() == DEVELOPMENT_SECRET:
        print("Signed with the development secret, since JWT_SECRET is not set.", file=sys.stderr)
    until = datetime.now(UTC) + lifetime
    print(f"{user_id}: {' '.join(scopes)}, until {until:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
    return sign(settings, user_id, name, lifetime, scopes)
