"""A mail server on loopback: it keeps what it takes, and does otherwise what it is told to."""

import asyncio
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from ssl import SSLContext
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.support.eventually import eventually

Answer = str | Callable[[], Awaitable[str]]


class MailServer:
    """Listens inside its block.

    Attributes:
        mails: what was taken, in order.
        recipient, data: answers instead of taking it, one after the other.
        logins: who signed in.
    """

    def __init__(self, tls: SSLContext | None = None, password: str | None = None) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.logins: list[str] = []
        self.encrypted: list[bool] = []
        self.recipient: list[str] = []
        self.data: list[Answer] = []
        self._tls = tls
        self._password = password

    # What aiosmtpd calls (https://aiosmtpd.aio-libs.org/en/latest/handlers.html).

    async def handle_RCPT(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:
        """Whether it knows somebody."""
        if self.recipient:
            return self.recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, session: Any, envelope: Envelope) -> str:
        """Takes a mail."""
        answer: Answer | None = self.data.pop(0) if self.data else None
        if isinstance(answer, str):
            return answer
        assert isinstance(envelope.content, bytes)
        message = BytesParser(policy=default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK" if answer is None else await answer()

    def _authenticate(self, _: Any, __: Any, ___: Any, ____: Any, data: LoginPassword) -> AuthResult:
        if data.password.decode() != self._password:
            return AuthResult(success=False, handled=False)
        self.logins.append(data.login.decode())
        return AuthResult(success=True)

    async def received(self, count: int) -> list[EmailMessage]:
        """Until so many mails came; the mails."""
        await eventually(lambda: len(self.mails) >= count, poll=0.01)
        return self.mails

    async def start(self, port: int = 0) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", port)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="localhost",
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            authenticator=self._authenticate,
            auth_required=self._password is not None,
            auth_require_tls=self._tls is not None,
            loop=asyncio.get_running_loop(),
        )
