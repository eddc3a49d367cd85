"""What a mail says, in which form, and what it can never be made to say."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts import email
from contracts.email import Language
from services.notifier import letter
from services.notifier.letter import Line, Look, Part

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET = "a secret of the tests, long enough"
LOOK = Look("Palabre <chat@example.org>", "https://chat.example.org", content=True)
PARTS = [
    Part("c1", "Team", [Line("Alice", "@Bob, look", NOW), Line("Carol", "", NOW)], more=3),
    Part("d/2", None, [Line("Dave", "psst", NOW)]),
]


def written(language: Language = "en", look: Look = LOOK, parts: list[Part] = PARTS) -> EmailMessage:
    """As the one who gets it reads it."""
    message = letter.write(look, "digest1", "bob@example.org", language, parts, email.sign(SECRET, "bob"), NOW)
    parsed = BytesParser(policy=default).parsebytes(message.as_bytes())
    assert isinstance(parsed, EmailMessage)
    return parsed


def body(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body((kind,))
    return str(part.get_content())


def test_a_mail_holds_everything_and_can_be_ended_with_one_click() -> None:
    message = written()
    assert message["From"] == "Palabre <chat@example.org>"
    assert message["To"] == "bob@example.org"
    assert message["Subject"] == "6 unread messages for you"
    assert message["Message-ID"] == "<digest1@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = str(message["List-Unsubscribe"])
    assert link.startswith("<https://chat.example.org/api/email/unsubscribe?token=")
    token = link.partition("token=")[2].rstrip(">")
    assert email.signed_for(SECRET, token) == "bob"
    text, html = body(message, "plain"), body(message, "html")
    for shown in ("You were mentioned in Team", "Alice", "@Bob, look", "(an attachment)", "and 3 more", "Dave", "psst"):
        assert shown in text
        assert shown in html
    for address in ("https://chat.example.org/#/c/c1", "https://chat.example.org/#/c/d%2F2", link.strip("<>")):
        assert address in text
        assert f'href="{address}"' in html


def test_in_french() -> None:
    message = written("fr")
    assert message["Subject"] == "6 messages non lus pour vous"
    assert message["Content-Language"] == "fr"
    assert "On vous a mentionné dans Team" in body(message, "plain")
    assert '<html lang="fr">' in body(message, "html")
    assert written("fr", parts=PARTS[1:])["Subject"] == "Un message non lu pour vous"


def test_without_content_it_says_that_there_is_something_and_where() -> None:
    message = written(look=Look(LOOK.sender, LOOK.page, content=False))
    for kind in ("plain", "html"):
        shown = body(message, kind)
        assert "https://chat.example.org/#/c/c1" in shown
        assert not any(word in shown for word in ("Alice", "look", "Team", "psst"))


hostile = st.text(max_size=400) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=y>', "a\r\nBcc: all@example.org", "\u202egnp.exe", "&amp;"]
)


@given(name=hostile, sender=hostile, content=hostile)
def test_nothing_that_somebody_writes_is_more_than_text(name: str, sender: str, content: str) -> None:
    try:
        f"{name}{sender}{content}".encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair is never stored
    message = written(parts=[Part("c1", name, [Line(sender, content, NOW)])])
    assert message["Bcc"] is None
    assert message["To"] == "bob@example.org"
    html = body(message, "html")
    assert html.count("<") == written(parts=[Part("c1", "n", [Line("s", "c", NOW)])]).get_body(
        ("html",)
    ).get_content().count("<")  # type: ignore[union-attr]
    assert "\u202e" not in html
    assert "\u202e" not in body(message, "plain")


@given(user=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64), other=st.text(max_size=100))
def test_only_our_links_end_mails_and_each_only_those_of_its_person(user: str, other: str) -> None:
    token = email.sign(SECRET, user)
    assert email.signed_for(SECRET, token) == user
    assert email.signed_for(SECRET + "x", token) is None
    assert email.signed_for(SECRET, token[:-1]) is None
    assert other == token or email.signed_for(SECRET, other) is None
    forged = email.sign(SECRET, user + "x").partition(".")[0] + "." + token.partition(".")[2]
    assert email.signed_for(SECRET, forged) is None
