"""Bodies of REST calls: bounded, and JSON as RFC 8259 has it (no NaN, no half of a surrogate pair, no endless nesting)."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from contracts.errors import Refusal
from contracts.limits import BODY_BYTES
from services.gateway.paths import decode_parameters
from services.gateway.problems import failure


class StrictRequest(Request):
    """A request whose body is read at most once, and not further than it may be long."""

    async def body(self) -> bytes:
        """The whole body. Raises HTTPException 413."""
        if not hasattr(self, "_body"):
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > BODY_BYTES:
                    raise HTTPException(413, f"The body is longer than {BODY_BYTES} bytes.")
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError."""
        return orjson.loads(await self.body())


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def strict_route(before: Callable[[Request, str], Awaitable[None]] | None = None) -> type[APIRoute]:
    """Routes that read their bodies as above, after `before`, which is given the route's path and may refuse the call.

    FastAPI would read the body first, also of strangers
    (https://fastapi.tiangolo.com/how-to/custom-request-and-route/).
    """

    class StrictRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def strict(request: Request) -> Response:
                try:
                    decode_parameters(request.scope)
                    if before is not None:
                        await before(request, self.path_format)
                    return await handler(StrictRequest(request.scope, request.receive))
                except (Refusal, HTTPException, RequestValidationError):
                    raise
                except Exception as error:
                    # Further out it would be logged again, and cost the connection.
                    return failure(error)

            return strict

    return StrictRoute
