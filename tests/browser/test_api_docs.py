"""The API's description is shown by what the gateway itself serves, under a policy of its own."""

import pytest
from playwright.async_api import Request, expect

from tests.browser.conftest import Arrive

pytestmark = pytest.mark.e2e


async def test_the_api_is_shown_and_nothing_is_loaded_from_elsewhere(arrive: Arrive, unique: str) -> None:
    reader = await arrive(f"Reader {unique}")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    reader.page.on("request", note)
    await reader.page.goto(f"{reader.url}/api/docs")
    await expect(reader.page.get_by_text("/api/conversations", exact=True).first).to_be_visible()
    await reader.shot("api-docs")
    assert [url for url in asked if not url.startswith((reader.url, "data:"))] == []
