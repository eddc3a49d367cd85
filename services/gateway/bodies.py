"""Bodies of REST calls: bounded, and JSON as RFC 8259 has it (no NaN, no half of a surrogate pair, no endless nesting)."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from contracts.limits import BODY_BYTES


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


class StrictRoute(APIRoute):
    """Reads its bodies as above (https://fastapi.tiangolo.com/how-to/custom-request-and-route/)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, with our request."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
