"""Refusals over REST: problem details (RFC 9457) with the code of the refusal."""

import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contracts.errors import ErrorCode, Refusal
from services.gateway import metrics
from services.telemetry import logger


class InvalidField(Refusal):
    """A field that is well-formed and wrong, named in `detail`: 422."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.INVALID_FRAME, detail)


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
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every refusal and failure of this application with a problem."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
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
        # What is no JSON at all is malformed (400); a field that is wrong is named (422).
        status = 400 if any(p["type"] == "json_invalid" or p["loc"] == ("body",) for p in problems) else 422
        sentence = "; ".join(f"{'.'.join(str(part) for part in p['loc'][1:])}: {p['msg']}" for p in problems[:5])
        return problem(status, ErrorCode.INVALID_FRAME, sentence)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = ErrorCode.NOT_FOUND if error.status_code in (404, 405) else ErrorCode.INVALID_FRAME
        return problem(error.status_code, code, str(error.detail))

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        logger().error("call failed", exc_info=error)
        return problem(500, ErrorCode.INTERNAL, ErrorCode.INTERNAL.sentence)
