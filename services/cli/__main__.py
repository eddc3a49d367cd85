"""`palabre` and `python -m services.cli`: the commands, each in the module that it belongs to."""

import typer

from services.cli import chat, configuration, keys, operations, preparing, restoring, token

app = typer.Typer(
    name="palabre",
    help="Palabre from a terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens
)
app.command("token")(token.token)
app.command("chat")(chat.chat)
app.command("config")(configuration.config)
app.command("prepare")(preparing.prepare)
app.command("restored")(restoring.restored)
app.command("topology")(operations.topology)
app.command("vapid")(keys.vapid)
app.add_typer(operations.dead, name="dead")


if __name__ == "__main__":
    app()
