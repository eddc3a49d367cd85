"""The web page at `/`, and the API's description at `/api/docs`: the files of their build, kept in memory, and what the
page's browser side must be told.

The build is read once at the start: requests then touch no disk, cannot leave the folder, and a page that is being
rebuilt is never served half.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.gateway.settings import Settings
from services.telemetry import logger

COMPRESSIBLE = ("text/", "application/json", "application/manifest+json", "image/svg+xml")
DOCS = "api/docs/"  # shows the API's description: Swagger UI, which is no part of the page
HASHED = "assets/"  # the build puts a hash of the content into these names, so a name never changes its content
IMMUTABLE = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"
NOT_BUILT = """This gateway has no web page: there is no build in WEB_ROOT ({root}).

`make run` builds it; by hand: cd web && npm ci && npm run build. Then start the gateway again.
The API is at /api/docs, the WebSocket at /ws/chat.
"""

NO_DOCS = "The API is described by /api/openapi.json. What would show it here comes with the build of the web page.\n"

# What a system's own table may lack or say otherwise.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("application/manifest+json", ".webmanifest")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the build, as it is sent."""

    body: bytes
    compressed: bytes | None
    media_type: str
    headers: dict[str, str]

    def response(self, request: Request) -> Response:
        """The file, or 304 where the browser has it."""
        headers = dict(self.headers)
        if self.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = self.body
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=self.media_type, headers=headers)


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the page; after every other route, which it must not hide."""
    headers = _security(settings)
    files = _read(settings.web_root, headers)

    # GET and HEAD, outside of the API's description.
    def serve(path: str, file: File) -> None:
        async def answer(request: Request) -> Response:
            return file.response(request)

        app.add_route(path, answer, methods=["GET"], include_in_schema=False)

    for name, file in files.items():
        serve(f"/{name}", file)
    if "index.html" in files:
        serve("/", files["index.html"])
    else:
        logger().warning("no web page", web_root=str(settings.web_root))

        async def hint(_: Request) -> Response:
            return PlainTextResponse(NOT_BUILT.format(root=settings.web_root), 404, headers=headers)

        app.add_route("/", hint, methods=["GET"], include_in_schema=False)

    if (shown := files.get(f"{DOCS}index.html")) is not None:
        serve("/api/docs", shown)
    else:

        async def no_docs(_: Request) -> Response:
            return PlainTextResponse(NO_DOCS, headers=headers)

        app.add_route("/api/docs", no_docs, methods=["GET"], include_in_schema=False)

    told = _told(settings)

    async def page_settings(_: Request) -> Response:
        return JSONResponse(told, headers={"Cache-Control": ASK_FIRST, **headers})

    app.add_route("/page.json", page_settings, methods=["GET"], include_in_schema=False)


def _told(settings: Settings) -> dict[str, object]:
    """How people sign in here."""
    return {
        "developmentSignIn": settings.auth_dev,
        "oidc": (
            {"issuer": settings.web_oidc_issuer, "clientId": settings.web_oidc_client_id}
            if settings.web_oidc_issuer
            else None
        ),
        "hostOrigins": list(settings.web_host_origins),
    }


def _security(settings: Settings) -> dict[str, str]:
    """What the browser must refuse on this page, whatever a message may have smuggled in."""
    connect = ["'self'"]
    if settings.web_oidc_issuer:
        issuer = urlsplit(settings.web_oidc_issuer)
        connect += [f"{issuer.scheme}://{issuer.netloc}", *settings.web_oidc_origins]
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "font-src": "'self'",
        "manifest-src": "'self'",
        "connect-src": " ".join(connect),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": " ".join(settings.web_host_origins) or "'none'",
        # The page never parses HTML: no script may turn a text into an element. Nor into a script, but for the
        # address of the service worker (web/src/lib/push.ts).
        "require-trusted-types-for": "'script'",
        "trusted-types": "palabre-worker",
    }
    return _headers(policy)


def _security_of_docs() -> dict[str, str]:
    """Swagger UI writes styles into its elements, and HTML of what the API's description says, which is ours."""
    return _headers(
        {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
    )


def _headers(policy: dict[str, str]) -> dict[str, str]:
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def _read(root: Path, security: dict[str, str]) -> dict[str, File]:
    """Every file of the build, by its path in it."""
    of_docs = _security_of_docs()
    names = [(path, path.relative_to(root).as_posix()) for path in sorted(root.rglob("*")) if path.is_file()]
    return {name: _file(path, name, of_docs if name.startswith(DOCS) else security) for path, name in names}


def _file(path: Path, name: str, security: dict[str, str]) -> File:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    small = gzip.compress(body, 6, mtime=0) if media_type.startswith(COMPRESSIBLE) else None
    return File(
        body,
        small if small is not None and len(small) < len(body) else None,
        media_type,
        {
            "Cache-Control": IMMUTABLE if name.startswith(HASHED) else ASK_FIRST,
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:24]}"',
            **security,
        },
    )
