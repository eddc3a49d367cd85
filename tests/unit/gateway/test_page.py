"""The web page's files: how they may be cached, and what the browser is told to refuse."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import ValidationError

from services.gateway import page, problems
from services.gateway.settings import Settings

SCRIPT = "console.log('hello');" * 100


@pytest.fixture
def build(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Palabre</title>")
    (root / "assets/index-abc123.js").write_text(SCRIPT)
    (root / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("not of the page")
    return root


async def get(root: Path, path: str, method: str = "GET", headers: dict[str, str] | None = None, **more) -> Response:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    problems.install(app)
    page.install(app, Settings(web_root=root, auth_dev=True, **more))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://gateway") as client:
        return await client.request(method, path, headers={"Accept-Encoding": "identity", **(headers or {})})


@pytest.mark.parametrize("path", ["/", "/index.html"])
async def test_the_page_is_asked_for_each_time_and_locked_down(build, path):
    answer = await get(build, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_a_page_that_the_browser_has_is_not_sent_again(build):
    first = await get(build, "/")
    again = await get(build, "/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


async def test_what_has_its_hash_in_its_name_is_kept_for_ever(build):
    answer = await get(build, "/assets/index-abc123.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.text == SCRIPT


async def test_text_is_compressed_where_the_browser_can_read_it(build):
    answer = await get(build, "/assets/index-abc123.js", headers={"Accept-Encoding": "gzip, br"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) < len(SCRIPT) / 4
    assert answer.text == SCRIPT


async def test_head_says_what_get_would(build):
    answer = await get(build, "/icon.svg", method="HEAD")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "6", b"")


@pytest.mark.parametrize("path", ["/secret.txt", "/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt", "/assets", "/x"])
async def test_nothing_but_the_build_is_served(build, path):
    answer = await get(build, path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


async def test_without_a_build_it_says_how_to_make_one(tmp_path):
    answer = await get(tmp_path / "nothing", "/")
    assert answer.status_code == 404
    assert "npm run build" in answer.text


async def test_the_page_is_told_how_people_sign_in(build):
    answer = await get(
        build,
        "/page.json",
        web_oidc_issuer="https://id.example.com/realms/one",
        web_oidc_client_id="palabre",
        web_host_origins="https://intranet.example.com/, https://other.example.com",
    )
    assert answer.json() == {
        "developmentSignIn": True,
        "oidc": {"issuer": "https://id.example.com/realms/one", "clientId": "palabre"},
        "hostOrigins": ["https://intranet.example.com", "https://other.example.com"],
    }
    policy = answer.headers["content-security-policy"]
    assert "connect-src 'self' https://id.example.com;" in policy
    assert "frame-ancestors https://intranet.example.com https://other.example.com;" in policy


@pytest.mark.parametrize(
    "wrong",
    [
        {"web_oidc_issuer": "https://id.example.com"},
        {"web_oidc_issuer": "https://id.example.com; script-src *", "web_oidc_client_id": "palabre"},
        {"web_host_origins": "*"},
        {"web_host_origins": "https://a.example.com; script-src *"},
    ],
)
def test_settings_that_would_open_the_page_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(auth_dev=True, **wrong)


async def test_what_shows_the_api_loads_nothing_from_elsewhere(build):
    (build / "api/docs").mkdir(parents=True)
    (build / "api/docs/index.html").write_text("<!doctype html><title>The API</title>")
    for path in ("/api/docs", "/api/docs/index.html"):
        answer = await get(build, path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy


async def test_without_a_build_the_api_is_described_all_the_same(tmp_path):
    answer = await get(tmp_path, "/api/docs")
    assert answer.status_code == 200
    assert "/api/openapi.json" in answer.text


async def test_the_page_may_ask_a_token_endpoint_that_is_elsewhere(build):
    answer = await get(
        build,
        "/",
        web_oidc_issuer="https://id.example.org/realm",
        web_oidc_client_id="palabre",
        web_oidc_origins="https://tokens.example.org/, https://other.example.org",
    )
    connect = "connect-src 'self' https://id.example.org https://tokens.example.org https://other.example.org;"
    assert connect in answer.headers["content-security-policy"]
    with pytest.raises(ValidationError, match="is not an origin"):
        await get(build, "/", web_oidc_origins="https://tokens.example.org/path")
