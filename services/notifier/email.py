"""`notifier.email`: one mail with everything that stayed unread for a while, where somebody wants that.

A delivery notes that there is something, and (unless one waits already) a look at it after `email_delay`: that wait is a
message in RabbitMQ. What the mail says is found out then, see `digest`.
"""

import ssl
from datetime import timedelta
from email.message import EmailMessage
from typing import Annotated, Literal

import aiosmtplib
from pydantic import Field, TypeAdapter

from contracts import email
from contracts.email import EmailDue
from contracts.notifying import Delivery
from contracts.shape import now
from services.amqp import Broker, Inbox
from services.mongo import Database
from services.notifier import letter, metrics, waiting
from services.notifier.channel import attend
from services.notifier.digest import Digests, Sending
from services.notifier.settings import Settings
from services.telemetry import logger

CHANNEL = "email"
PREFETCH = 20  # mails under way
FIRST_RETRY = 60.0  # seconds; each later one waits twice as long
LONGEST_RETRY = 3600.0
ATTEMPTS = 12  # some ten hours

Outcome = Literal["sent", "again", "refused", "nothing"]
_brought: TypeAdapter[Delivery | EmailDue] = TypeAdapter(Annotated[Delivery | EmailDue, Field(discriminator="kind")])


class Email:
    """The channel of one notifier."""

    def __init__(self, settings: Settings, broker: Broker, database: Database, inbox: Inbox) -> None:
        assert settings.smtp_host is not None
        self._settings = settings
        self._broker = broker
        self._inbox = inbox
        self._digests = Digests(database)
        self._look = letter.Look(
            sender=str(settings.email_from), page=str(settings.public_url), content=settings.email_content
        )
        self._tls = ssl.create_default_context(cafile=settings.smtp_ca_file)

    async def run(self) -> None:
        """Until cancelled."""
        await attend(self._broker, CHANNEL, self._inbox, self._handle)

    async def _handle(self, body: bytes) -> None:
        brought = _brought.validate_json(body)
        if isinstance(brought, EmailDue):
            await self._look_at(brought)
        # What is said in a room to nobody in particular is worth no mail.
        elif brought.seq is not None and (brought.kind == "mention" or brought.conversation_name is None):
            await self._note(brought)

    async def _note(self, delivery: Delivery) -> None:
        if not await self._digests.note(delivery):
            return
        moment = now() + timedelta(seconds=self._settings.email_delay)
        # In this order: after a crash in between a second look is made, which finds nothing.
        await self._later(EmailDue(user_id=delivery.user_id, not_before=moment))
        await self._digests.is_due(delivery.user_id, moment)

    async def _look_at(self, due: EmailDue) -> None:
        if now() < due.not_before:
            await self._later(due)
            return
        user = due.user_id
        person = await self._digests.begin(user)
        prepared = await self._digests.prepare(user) if person else None
        if person is None or prepared is None:
            metrics.MAILED.labels("nothing").inc()
            return
        sending, unread = prepared
        secret = self._settings.email_secret
        assert secret is not None
        message = letter.write(
            self._look,
            sending.id,
            person["address"],
            person["language"],
            unread.parts,
            email.sign(secret.get_secret_value(), user),
            now(),
        )
        outcome = await self._send(user, person["address"], sending, message)
        if outcome == "again" and due.number + 1 >= ATTEMPTS:
            outcome = "refused"
        metrics.MAILED.labels(outcome).inc()
        if outcome == "again":
            wait = timedelta(seconds=min(LONGEST_RETRY, FIRST_RETRY * 2**due.number))
            await self._later(EmailDue(user_id=user, not_before=now() + wait, number=due.number + 1))
        elif outcome != "nothing":
            await self._digests.finish(user, sending)
            if unread.more:
                await self._later(EmailDue(user_id=user, not_before=now()))

    async def _send(self, user: str, address: str, sending: Sending, message: EmailMessage) -> Outcome:
        """Hand it to the mail server. What may have been taken counts as sent."""
        settings = self._settings
        smtp = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            tls_context=None if settings.smtp_security == "none" else self._tls,
            username=settings.smtp_user,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            timeout=settings.smtp_timeout,
        )
        handed_over = False
        try:
            await smtp.connect()
            await smtp.mail(letter.address_of(self._look.sender))
            await smtp.rcpt(address)
            if not await self._digests.hand_over(user, sending):
                return "nothing"  # another notifier does it; or it is not wanted any more
            handed_over = True
            await smtp.data(message.as_bytes())
        except aiosmtplib.SMTPResponseException as error:
            # The server has spoken: it has not taken it.
            if handed_over:
                await self._digests.take_back(user, sending)
            permanent = error.code >= 500 and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
            logger().warning("mail refused", user=user, code=error.code, permanent=permanent)
            if permanent and isinstance(error, aiosmtplib.SMTPRecipientRefused):
                await self._digests.switch_off(user, address)
            return "refused" if permanent and (handed_over or _is_about(error)) else "again"
        except (aiosmtplib.SMTPException, OSError) as error:
            logger().warning("mail server away", user=user, reason=type(error).__name__)
            return "sent" if handed_over else "again"
        finally:
            smtp.close()
        return "sent"

    async def _later(self, due: EmailDue) -> None:
        wait = (due.not_before - now()).total_seconds()
        await self._broker.publish(waiting.later(self._broker.topology, CHANNEL, due.encode(), wait))


def _is_about(error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether it was this mail that was refused, and not us."""
    return isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
