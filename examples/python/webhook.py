"""Receive Palabre's webhooks: verify that each is Palabre's, whole and new, and handle it once.

    WEBHOOK_SECRET   as it was shown when the webhook was made, whsec_…; two while one replaces another
    HOST, PORT       where to listen (default 127.0.0.1, 8080); put a server with TLS in front
    STATE            where to remember what was handled (default webhook.db)

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com): an HMAC over id, time and body, exactly as
they came. A call is answered when it is handled; one that is not answered with 2xx comes again, with the same id.
"""

import base64
import hmac
import os
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

from pydantic import ValidationError

from contracts.events import Event, OtherEvent, parse_event

TOLERANCE = 300  # seconds; an older call may be one that somebody recorded
LONGEST = 1024 * 1024  # bytes of a body
TABLES = """
CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS events (type TEXT, id TEXT);
"""


class NotVerified(Exception):
    """The call is not Palabre's, or not new."""


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """The call's id. Raises NotVerified."""
    try:
        call, moment = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = [part.removeprefix("v1,") for part in headers["webhook-signature"].split() if part.startswith("v1,")]
    except (KeyError, ValueError, TypeError) as error:
        raise NotVerified("a header is missing or malformed") from error
    if abs(now - moment) > TOLERANCE:
        raise NotVerified("the time is not now")
    signed = b"%b.%d.%b" % (call.encode(), moment, body)
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        # In constant time, so that nobody can guess a signature byte by byte.
        if any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in given):
            return call
    raise NotVerified("no signature is right")


def handle(database: sqlite3.Connection, event: Event | OtherEvent) -> None:
    """What this program is for."""
    database.execute("INSERT INTO events VALUES (?, ?)", (event.type, event.id))


class Receiver(BaseHTTPRequestHandler):
    """One call after the other, since SQLite has one writer."""

    secrets: Sequence[str]
    database: sqlite3.Connection

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(length)
        try:
            # Before anything in it is believed, or even parsed.
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = verify(self.secrets, headers, body, time.time())
            event = parse_event(body)
        except NotVerified as error:
            self._answer(HTTPStatus.UNAUTHORIZED, str(error))
            return
        except ValidationError as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
            return
        with self.database:  # one transaction
            if self.database.execute("INSERT OR IGNORE INTO handled (id) VALUES (?)", (call,)).rowcount:
                handle(self.database, event)
        self._answer(HTTPStatus.NO_CONTENT)

    def _answer(self, status: HTTPStatus, why: str = "") -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(why.encode())))
        self.end_headers()
        self.wfile.write(why.encode())


def main() -> None:
    Receiver.secrets = os.environ["WEBHOOK_SECRET"].split()
    Receiver.database = sqlite3.connect(os.environ.get("STATE", "webhook.db"))
    Receiver.database.executescript(TABLES)
    server = HTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))), Receiver)

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    print(f"listening on port {server.server_port}", flush=True)
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
