"""REST for the mail digest: whether somebody wants it, and the links in mails, which end it without signing in."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import HTMLResponse

from contracts import email
from contracts.email import EmailSettings, EndEmails, Language, StoreEmail
from contracts.errors import ErrorCode, Refusal
from contracts.shape import Shape, optional
from services.gateway.bodies import strict_route
from services.gateway.calls import Caller, The, authenticate, command, respond
from services.gateway.history import reading
from services.gateway.ingress import new_id
from services.gateway.notifications import known
from services.gateway.parts import Gateway
from services.gateway.problems import PROBLEMS, InvalidField

router = APIRouter(prefix="/api", route_class=strict_route(authenticate), responses=PROBLEMS)
links = APIRouter(prefix="/api", route_class=strict_route(), include_in_schema=False)
Token = Annotated[str, Query(max_length=500)]


class Wanted(Shape):
    """Whether the caller wants a mail about what stays unread, and in which language."""

    digest: bool
    language: Language = "en"


class Mailing(Shape):
    """What is so: `available` says whether this deployment mails, `address` where to (the token's, until it is stored)."""

    available: bool
    digest: bool
    language: Language
    address: str | None = optional()


@router.get("/email", response_model=Mailing)
async def settings(gateway: The, caller: Caller) -> Response:
    """Whether the caller wants mails, and where they would go."""
    async with reading():
        found = await gateway.notifications.email(caller.user_id)
    return respond(_mailing(gateway, found, caller.email))


@router.put("/email", response_model=Mailing)
async def store(gateway: The, caller: Caller, body: Wanted) -> Response:
    """Say it anew. Mails go to the address that the token holds now, which its issuer has verified."""
    if body.digest and gateway.settings.email_secret is None:
        raise Refusal(ErrorCode.NOT_FOUND, "This deployment does not mail.")
    if body.digest and caller.email is None:
        raise InvalidField("digest: your token holds no address that was verified (email, email_verified)")
    wanted = EmailSettings(digest=body.digest, language=body.language, address=caller.email)
    await gateway.ingress.request(StoreEmail(**command(gateway, caller), settings=wanted))
    return respond(_mailing(gateway, wanted, None))


@links.get("/email/unsubscribe")
async def ask(request: Request, gateway: The, token: Token = "") -> Response:
    """A page with one button. Opening it changes nothing: programs open links, too."""
    _owner(gateway, token)
    return _page(request, asking=True)


@links.post("/email/unsubscribe")
async def end(request: Request, gateway: The, token: Token = "") -> Response:
    """By that button, or by a mail program (RFC 8058); its body says nothing that the link does not."""
    ingress = gateway.ingress
    await ingress.request(
        EndEmails(
            id=new_id(),
            origin=ingress.origin(None),
            actor=known(_owner(gateway, token)),
            expires_at=ingress.expires_at(),
        )
    )
    return _page(request, asking=False)


def _owner(gateway: Gateway, token: str) -> str:
    """Whose link it is. Raises Refusal NOT_FOUND."""
    secret = gateway.settings.email_secret
    user_id = None if secret is None else email.signed_for(secret.get_secret_value(), token)
    if user_id is None:
        raise Refusal(ErrorCode.NOT_FOUND, "This link is none of ours.")
    return user_id


def _mailing(gateway: Gateway, found: EmailSettings, address: str | None) -> Mailing:
    return Mailing(
        available=gateway.settings.email_secret is not None,
        digest=found.digest,
        language=found.language,
        address=found.address or address,
    )


WORDS: dict[Language, tuple[str, str, str]] = {
    "en": (
        "No more mails about unread messages?",
        "No more mails",
        "You will get no more mails about unread messages.",
    ),
    "fr": (
        "Ne plus recevoir de courriels sur les messages non lus ?",
        "Ne plus en recevoir",
        "Vous ne recevrez plus de courriels sur les messages non lus.",
    ),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}


def _page(request: Request, *, asking: bool) -> Response:
    language: Language = "fr" if request.headers.get("accept-language", "").lower().startswith("fr") else "en"
    question, button, done = WORDS[language]
    # The form goes to its own address, token and all.
    form = f'<form method="post"><button name="List-Unsubscribe" value="One-Click">{button}</button></form>'
    body = f"<p>{question}</p>{form}" if asking else f"<p>{done}</p>"
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Palabre</title>'
        f'<meta name="viewport" content="width=device-width"></head><body>{body}</body></html>'
    )
    return HTMLResponse(page, headers={**HEADERS, "Content-Language": language, "Vary": "Accept-Language"})
