"""Refusals over REST: problem details (RFC 9457) with the code of the refusal."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contracts.errors import ErrorCode, Refusal
from contracts.shape import Shape
from services.gateway import metrics
from services.telemetry import logger


class InvalidField(Refusal):
    """A field that is well-formed and wrong, named in `detail`: 422."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.INVALID_FRAME, detail)


class Problem(Shape):
    """What a refused call is answered with."""

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "Refused; `code` says why."},
    "5XX": {"model": Problem, "description": "Not possible now; `code` says whether to try again."},
}


MEDIA_TYPE = "application/problem+json"


def failure(error: Exception) -> JSONResponse:
    """What went wrong on our side is for the log; the caller learns that it did."""
    logger().error("call failed", exc_info=error)
    return problem(500, ErrorCode.INTERNAL, ErrorCode.INTERNAL.sentence)


def problem(status: int, code: ErrorCode, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One problem."""
    metrics.REFUSALS.labels(code).inc()
    body = {
        "type": f"urn:palabre:problem:{code.lower().replace('_', '-')}",
        "title": code.sentence,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every refusal and failure of this application with a problem, and describe it so."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        """FastAPI describes all answers under the media type of the good ones."""
        if app.openapi_schema is None:
            for calls in describe()["paths"].values():
                for response in (call["responses"][status] for call in calls.values() for status in PROBLEMS):
                    response["content"] = {MEDIA_TYPE: response["content"].pop("application/json")}
        return describe()

    # https://fastapi.tiangolo.com/how-to/extending-openapi/
    app.openapi = openapi  # type: ignore[method-assign]

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        caller = getattr(request.state, "caller", None)
        logger().info(
            "refused",
            call=f"{request.method} {request.url.path}",
            user=caller.user_id if caller else None,
            code=refusal.code,
            reason=refusal.detail,
        )
        headers: dict[str, str] = {}
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(refusal.retry_after))
        if refusal.code.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        status = 422 if isinstance(refusal, InvalidField) else refusal.code.status
        return problem(status, refusal.code, refusal.detail, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        # What is no JSON object at all is malformed (400); a field that is wrong is named (422).
        if any(p["type"] == "json_invalid" for p in problems):
            return problem(400, ErrorCode.INVALID_FRAME, f"The body is not JSON: {problems[0]['ctx']['error']}")
        if any(p["loc"] == ("body",) for p in problems):
            return problem(400, ErrorCode.INVALID_FRAME, "The body must be an object of the type application/json.")
        sentence = "; ".join(f"{'.'.join(str(part) for part in p['loc'][1:])}: {p['msg']}" for p in problems[:5])
        return problem(422, ErrorCode.INVALID_FRAME, sentence)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = ErrorCode.NOT_FOUND if error.status_code in (404, 405) else ErrorCode.INVALID_FRAME
        return problem(error.status_code, code, str(error.detail), dict(error.headers or {}))
