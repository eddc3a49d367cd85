"""Paths of REST calls: an id in one may have a `/`, which the client writes `%2F`.

ASGI's `path` is decoded, so that such an id would look like two segments, and no route match.
"""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

ENCODED = "palabre.encoded_path"  # in the scope: its path, and so the parameters of its route, are still encoded


class EncodedSlashes:
    """Matches a path with `%2F` as it was sent; `decode_parameters` does the rest once a route is found."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call."""
        raw = scope["raw_path"] if scope["type"] == "http" else b""
        if b"%2f" in raw.lower():
            scope = {**scope, "path": raw.decode("latin-1"), ENCODED: True}
        await self._app(scope, receive, send)


def decode_parameters(scope: Scope) -> None:
    """The parameters of the route that was found, as the client meant them."""
    if ENCODED in scope:
        scope["path_params"] = {name: unquote(value) for name, value in scope["path_params"].items()}
