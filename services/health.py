"""`/healthz`, `/readyz` and `/metrics`: alive, able to work, and how it goes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import Gauge
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.telemetry import metrics_response

# A check returns when its part works, and raises when it does not.
Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT = 2.0
UP = Gauge(
    "palabre_dependency_up", "Whether the last look at it found it working, as asked for by /readyz", ["dependency"]
)


async def examine(checks: Mapping[str, Check]) -> dict[str, str]:
    """What is wrong, by the name of the part; empty when all is well."""

    async def one(check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await check()
        except TimeoutError:
            return "does not answer"
        except Exception as error:  # whatever it is, it is the finding
            return str(error) or type(error).__name__
        return None

    findings = await asyncio.gather(*(one(check) for check in checks.values()))
    for name, finding in zip(checks, findings, strict=True):
        UP.labels(name).set(finding is None)
    return {name: finding for name, finding in zip(checks, findings, strict=True) if finding}


async def readiness(checks: Mapping[str, Check]) -> JSONResponse:
    """200, or 503 that names what is missing."""
    missing = await examine(checks)
    return JSONResponse(
        {"ready": not missing, "missing": missing} if missing else {"ready": True}, 503 if missing else 200
    )


def routes(
    checks: Mapping[str, Check], alive: Callable[[], bool] = lambda: True, draining: Callable[[], bool] = lambda: False
) -> list[Route]:
    """The three calls."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": alive()}, 200 if alive() else 500)

    async def readyz(_: Request) -> Response:
        if draining():
            return JSONResponse({"ready": False, "missing": {"gateway": "draining"}}, 503)
        if not alive():
            return JSONResponse({"ready": False, "missing": {"process": "a part of it has ended"}}, 503)
        return await readiness(checks)

    async def metrics(_: Request) -> Response:
        return metrics_response()

    # Outside of any description of an API.
    return [
        Route(path, call, include_in_schema=False)
        for path, call in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics))
    ]
