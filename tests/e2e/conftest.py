"""A real Chromium, and pages that note what should not be: errors, warnings, requests to elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from archiver.testing.patience import SOON_S

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    # not of a test, where playwright's thread would count as left over; nor of the session, where its event loop is
    # in the way of others
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS, timeout=SOON_S * 1000)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page: `opened(url, "#/archive", viewport=…)` gives it and the list of what should not have been.

    Playwright leaves a thread behind when it writes a screenshot to a path: write its bytes.
    """
    pages = []

    def open_page(url: str, fragment: str = "", **options: Any) -> Any:
        problems: list[str] = []
        page = chromium.new_page(**options)
        pages.append(page)
        page.set_default_timeout(SOON_S * 1000)
        wrong = ("error", "warning")
        page.on("console", lambda message: problems.append(message.text) if message.type in wrong else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        ours = (url, "data:", f"blob:{url}")
        page.on("request", lambda request: None if request.url.startswith(ours) else problems.append(request.url))
        page.goto(f"{url}/{fragment}")
        return page, problems

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def post() -> Callable[[str, Any], None]:
    """Send samples to an archive: rows, or columns."""

    def send(url: str, rows: Any) -> None:
        with urlopen(
            Request(f"{url}/v1/samples", json.dumps(rows).encode(), {"Content-Type": "application/json"})
        ) as answer:
            assert answer.status == 200

    return send
