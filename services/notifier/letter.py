"""The mail digest as a message: text and HTML, in English or French, with what lets a mail program end it. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import NamedTuple
from urllib.parse import quote, urlencode

from contracts.email import Language
from contracts.shape import to_text

PREVIEW = 300  # characters of a message


class Line(NamedTuple):
    """One unread message."""

    sender: str
    content: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """What is unread of one conversation; `name` is None where it is between two people. `more`: how many are not shown."""

    conversation_id: str
    name: str | None
    lines: Sequence[Line]
    more: int = 0

    @property
    def count(self) -> int:
        """Messages, with those that are not shown."""
        return len(self.lines) + self.more


@dataclass(frozen=True, slots=True)
class Look:
    """What is the same in all mails of a deployment.

    Attributes:
        sender: as `Palabre <chat@example.org>`.
        page: address of the web page, without a slash in the end.
        content: whether mails say who wrote what, or only that there is something.
    """

    sender: str
    page: str
    content: bool


class Words(NamedTuple):
    """What a mail says in one language."""

    subject: str
    subject_one: str
    intro: str
    mention_in: str
    direct: str
    more: str
    open: str
    why: str
    stop: str
    attachment: str


WORDS: dict[Language, Words] = {
    "en": Words(
        subject="{count} unread messages for you",
        subject_one="An unread message for you",
        intro="These came while you were away:",
        mention_in="You were mentioned in {name}",
        direct="To you alone",
        more="and {count} more",
        open="Open the conversation",
        why="You get this mail because you asked for it in Palabre, and these messages are unread.",
        stop="No more of these mails",
        attachment="(an attachment)",
    ),
    "fr": Words(
        subject="{count} messages non lus pour vous",
        subject_one="Un message non lu pour vous",
        intro="Voici ce qui est arrivé en votre absence :",
        mention_in="On vous a mentionné dans {name}",
        direct="À vous seul",
        more="et {count} de plus",
        open="Ouvrir la conversation",
        why="Vous recevez ce courriel parce que vous l’avez demandé dans Palabre, et que ces messages ne sont pas lus.",
        stop="Ne plus recevoir ces courriels",
        attachment="(une pièce jointe)",
    ),
}


def write(
    look: Look, digest_id: str, address: str, language: Language, parts: Sequence[Part], token: str, moment: datetime
) -> EmailMessage:
    """One mail with everything. The same digest has the same Message-ID however often it is sent."""
    words = WORDS[language]
    count = sum(part.count for part in parts)
    stop = f"{look.page}/api/email/unsubscribe?{urlencode({'token': token})}"
    message = EmailMessage(policy=SMTP)
    message["From"] = look.sender
    message["To"] = address
    message["Subject"] = words.subject_one if count == 1 else words.subject.format(count=count)
    message["Date"] = format_datetime(moment)
    message["Message-ID"] = f"<{digest_id}@{address_of(look.sender).rpartition('@')[2]}>"
    # RFC 3834: nobody's holiday message answers this one.
    message["Auto-Submitted"] = "auto-generated"
    # RFC 8058: a mail program ends it with one POST.
    message["List-Unsubscribe"] = f"<{stop}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_text(look, words, parts, stop), cte="quoted-printable")
    message.add_alternative(_html(look, language, words, parts, stop), subtype="html", cte="quoted-printable")
    message["Content-Language"] = language  # last: what came before would be the text's alone
    return message


def address_of(sender: str) -> str:
    """The bare address of `Palabre <chat@example.org>`."""
    return parseaddr(sender)[1]


def _title(words: Words, part: Part) -> str:
    return words.direct if part.name is None else words.mention_in.format(name=_plain(part.name))


def _link(look: Look, part: Part) -> str:
    return f"{look.page}/#/c/{quote(part.conversation_id, safe='')}"


def _shown(words: Words, line: Line) -> str:
    content = _plain(line.content) or words.attachment
    return content if len(content) <= PREVIEW else content[: PREVIEW - 1] + "…"


def _plain(text: str) -> str:
    """On one line, without what steers a terminal or a mail program."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _when(moment: datetime) -> str:
    return f"{to_text(moment)[:16].replace('T', ' ')} UTC"


def _text(look: Look, words: Words, parts: Sequence[Part], stop: str) -> str:
    lines = [words.intro, ""]
    for part in parts:
        if look.content:
            lines += [_title(words, part)]
            lines += [f"  {_plain(one.sender)}, {_when(one.at)}: {_shown(words, one)}" for one in part.lines]
            if part.more:
                lines += ["  " + words.more.format(count=part.more)]
        lines += [_link(look, part), ""]
    return "\n".join([*lines, "-- ", words.why, f"{words.stop}: {stop}", ""])


def _html(look: Look, language: Language, words: Words, parts: Sequence[Part], stop: str) -> str:
    body = [f"<p>{escape(words.intro)}</p>"]
    for part in parts:
        if look.content:
            body.append(f"<h3>{escape(_title(words, part))}</h3>")
            body += [
                f"<p><b>{escape(_plain(one.sender))}</b> <small>{_when(one.at)}</small><br>{escape(_shown(words, one))}</p>"
                for one in part.lines
            ]
            if part.more:
                body.append(f"<p>{escape(words.more.format(count=part.more))}</p>")
        body.append(f'<p><a href="{escape(_link(look, part))}">{escape(words.open)}</a></p>')
    body.append(f'<hr><p><small>{escape(words.why)}<br><a href="{escape(stop)}">{escape(words.stop)}</a></small></p>')
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )
