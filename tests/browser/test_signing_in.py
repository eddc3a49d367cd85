"""In production: at an OpenID provider, or by a page around ours that gives the token."""

import asyncio
import base64
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.local.process import free_port
from tests.browser.conftest import Arrive
from tests.support.chat_client import Rest
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e
GOING = re.compile("Sending…|Waiting for the connection")
CORS = {"Access-Control-Allow-Origin": "*"}


class Provider:
    """An OpenID provider that knows one person, and lets them in without a question."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.person = f"amina-{uuid4().hex[:6]}"
        self.lifetime = 3600
        self.renewals = 0
        self.refusals = 0
        self.has_ended = False  # what was signed in before
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked: dict[str, str] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/keys", self.keys),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/host", self.host),
            ]
        )

    async def configuration(self, _: Request) -> Response:
        ends = {"authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token"}
        return JSONResponse({"issuer": self.issuer, **ends}, headers=CORS)

    async def keys(self, _: Request) -> Response:
        key: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return JSONResponse({"keys": [{**key, "kid": "one", "alg": "RS256"}]})

    async def authorize(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        assert self.asked["response_type"] == "code"
        assert self.asked["code_challenge_method"] == "S256"
        back = urlencode({"code": "the-code", "state": self.asked["state"]})
        return RedirectResponse(f"{self.asked['redirect_uri']}?{back}")

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if form["grant_type"] == "refresh_token":
            assert form["refresh_token"] == "again"
            if self.has_ended:
                self.refusals += 1
                return JSONResponse({"error": "invalid_grant"}, status_code=400, headers=CORS)
            self.renewals += 1
        else:
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.asked["code_challenge"]
            assert form["code"] == "the-code"
            self.has_ended = False
        return JSONResponse({"id_token": self.sign(), "refresh_token": "again"}, headers=CORS)

    async def host(self, request: Request) -> Response:
        """A page that embeds ours and gives it a token."""
        script = f"""
            addEventListener("message", (event) => {{
                if (event.origin !== "{request.query_params["page"]}") return;
                if (event.data.type !== "palabre.token-needed") return;
                event.source.postMessage({{type: "palabre.token", token: "{self.sign()}"}}, event.origin);
            }});"""
        frame = f'<iframe title="chat" src="{request.query_params["page"]}/" width="1000" height="700"></iframe>'
        return HTMLResponse(
            f"<!doctype html><title>Intranet</title><link rel=icon href=data:,><script>{script}</script>{frame}"
        )

    def sign(self) -> str:
        claims = {
            "iss": self.issuer,
            "aud": "palabre-page",
            "sub": self.person,
            "name": "Amina",
            "exp": int(time.time()) + self.lifetime,
            "nonce": self.asked.get("nonce"),
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one"})


@asynccontextmanager
async def serving(app: Starlette, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server._serve())
    try:
        while not server.started:
            await asyncio.sleep(0.05)
        yield
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    port = free_port()
    provider = Provider(port)
    async with serving(provider.app, port):
        yield provider


@pytest.fixture
async def production(system: System, provider: Provider) -> AsyncIterator[Process]:
    """A gateway as in production: no development tokens, people come from the provider."""
    gateway = system.another_gateway(
        AUTH_DEV="0",
        JWT_JWKS_URL=f"{provider.issuer}/keys",
        JWT_ISSUER=provider.issuer,
        JWT_AUDIENCE="palabre-page",
        WEB_OIDC_ISSUER=provider.issuer,
        WEB_OIDC_CLIENT_ID="palabre-page",
        WEB_HOST_ORIGINS=provider.issuer,
    )
    await gateway.start()
    try:
        async with asyncio.timeout(30):
            await gateway.ready()
        yield gateway
    finally:
        await gateway.stop()


async def test_at_an_openid_provider(production: Process, provider: Provider, arrive: Arrive) -> None:
    provider.lifetime = 20  # so little that it has to be renewed at once
    amina = await arrive("Amina", production.url)
    amina.also_asks(provider.issuer)
    await amina.page.get_by_role("button", name="Sign in with your account").click()
    await amina.nav.wait_for()
    await expect(amina.page.get_by_role("button", name=re.compile("Signed in as Amina"))).to_be_visible()
    assert amina.page.url.rstrip("/#") == production.url
    await expect(amina.page.get_by_text("No conversation yet")).to_be_visible()
    assert provider.renewals >= 1
    assert await amina.page.get_by_label("Your name").count() == 0


async def test_whoever_is_refused_there_signs_in_again_and_loses_nothing(
    production: Process, provider: Provider, arrive: Arrive, unique: str
) -> None:
    provider.lifetime = 20  # so little that it has to be renewed for every connection
    amina = await arrive("Amina", production.url)
    amina.also_asks(provider.issuer)
    amina.may_lose_network = True
    sign_in = amina.page.get_by_role("button", name="Sign in with your account")
    await sign_in.click()
    await amina.nav.wait_for()
    async with Rest(production.url, provider.sign()) as rest:
        await rest.create_conversation([], f"Diary {unique}")
    await amina.open(f"Diary {unique}")
    await amina.context.set_offline(True)
    await amina.write("from the tunnel")
    await expect(amina.message("from the tunnel").get_by_role("img", name=GOING)).to_be_visible()
    provider.has_ended = True
    await amina.context.set_offline(False)
    await expect(amina.page.get_by_role("alert")).to_contain_text("Please sign in again.", timeout=30_000)
    assert provider.refusals >= 1
    refused = [told for told in amina.complaints if "status of 400" in told]  # the browser says so by itself
    amina.complaints = [told for told in amina.complaints if told not in refused]
    await sign_in.click()
    await amina.sees_sent("from the tunnel")


async def test_by_the_page_around_it(production: Process, provider: Provider, arrive: Arrive) -> None:
    amina = await arrive("Amina", f"{provider.issuer}/host?page={production.url}")
    amina.also_asks(production.url, provider.issuer)
    frame = amina.page.frame_locator("iframe")
    await expect(frame.get_by_role("button", name=re.compile("Signed in as Amina"))).to_be_visible()
    await expect(frame.get_by_text("No conversation yet")).to_be_visible()
