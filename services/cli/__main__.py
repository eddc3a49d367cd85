"""`palabre` and `python -m services.cli`: the commands, each in the module that it belongs to."""

import typer

from services.cli import chat, operations

app = typer.Typer(
    name="palabre",
    help="Palabre from a terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens
)
app.command("token")(chat.token)
app.command("chat")(chat.chat)
app.command("topology")(operations.topology)
app.add_typer(operations.dead, name="dead")


if __name__ == "__main__":
    app()
