"""`palabre config`: what a service would run with in this environment, without its secrets."""

from typing import Annotated, Literal

import typer

from services.gateway.settings import Settings as Gateway
from services.notifier.settings import Settings as Notifier
from services.persister.settings import Settings as Persister
from services.settings import ServiceSettings, described, load

SETTINGS: dict[str, type[ServiceSettings]] = {"gateway": Gateway, "persister": Persister, "notifier": Notifier}


def config(
    service: Annotated[Literal["gateway", "persister", "notifier"], typer.Argument(help="whose settings")],
    changed: Annotated[bool, typer.Option("--changed", help="only what is not as it comes")] = False,
) -> None:
    """Print the settings in force, secrets masked; or everything that is wrong with them, and end with 2."""
    settings = load(SETTINGS[service])
    for name, text in described(settings).items():
        set_by_somebody = name.lower() in settings.model_fields_set
        if set_by_somebody or not changed:
            print(f"{name}={text}" + ("" if set_by_somebody else "  # default"))
