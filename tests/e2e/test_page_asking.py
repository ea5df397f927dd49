"""The views that ask and load, in a real browser: a query over two backends with its plan, an explanation, a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from archiver.testing.service import running_service

CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"

[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
"""
SECOND = 10**9
BASE = 1_767_225_600 * SECOND
DAY = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:01:00Z"
CSV = "time,sensor,value\n2026-01-01T00:00:00Z,S1,20.5\n2026-01-01T00:00:01Z,S2,21\n2026-01-01T00:00:02Z,S1,warm\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("asking")
    (directory / "forebay.toml").write_text(CONFIG)
    with running_service(directory) as service:
        yield service.url


@pytest.fixture(autouse=True)
def samples(url: str, post: Callable[..., None]) -> None:
    rows = [
        {"element": "ASK:A", "source_time": BASE + n * SECOND, "value": n + 0.123456789012345678} for n in range(30)
    ]
    post(url, [*rows, {"element": "ASK:B", "source_time": BASE, "value": "on"}])


def test_each_backend_its_own_range(url: str, opened: Callable[..., Any]) -> None:
    spans = "r=lake%3D2026-01-01T00:00:00Z/2026-01-01T00:00:10Z&r=warm%3D2026-01-01T00:00:08Z/2026-01-01T00:00:20Z"
    page, problems = opened(url, f"#/query?e=ASK%3AA&{DAY}&who=ranges&{spans}")
    page.wait_for_selector("#plan .bar.answers >> nth=1")
    names = page.locator("#plan .lanes > .name").all_text_contents()
    assert names == ["lake", "warm"]
    page.click("#run")
    page.wait_for_selector("#rows tr >> nth=19")
    assert page.locator("#rows tr").count() == 20  # the two seconds that both have come once
    said = page.text_content("#outcome")
    assert "lake: 10 rows" in said
    assert "warm: 12 rows" in said
    assert page.locator("#rows tr >> nth=1").locator("td").all_text_contents()[1:3] == [
        "2026-01-01 00:00:01.000000000",
        "1.1234567890123457",
    ]
    assert problems == []


def test_an_element_is_chosen_a_mistake_is_told_and_the_address_keeps_it(url: str, opened: Callable[..., Any]) -> None:
    page, _ = opened(url, f"#/query?{DAY}")
    page.wait_for_function("() => document.getElementById('query-note').textContent.includes('Choose an element')")
    page.fill("#view .picker input", "ask:a")
    page.wait_for_selector("#view .matches [role=option]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#plan .bar.answers")
    assert "e=ASK%3AA" in page.url
    page.click("summary")
    page.fill("input[name=where]", "ASK:B =")
    page.press("input[name=where]", "Enter")
    page.wait_for_function("() => document.getElementById('query-note').classList.contains('error')")
    page.fill("input[name=where]", "")
    page.select_option("select[name=aggregates]", ["mean"])
    page.wait_for_selector("#plan .bar.answers")
    page.click("#run")
    page.wait_for_selector("#rows tr")
    assert "14.62345" in page.text_content("#rows")


def test_an_answer_that_lacks_something_says_so(url: str, opened: Callable[..., Any]) -> None:
    page, _ = opened(url, f"#/query?e=ASK%3ANOBODY&{DAY}")
    page.wait_for_selector("#plan .lanes")
    page.click("#run")
    page.wait_for_selector("#result:not([hidden])")
    assert "no backend has a sample of it" in page.text_content("#outcome")
    assert page.text_content("#rows") == "No sample in this range."


def test_everything_is_fetched_as_a_file(url: str, opened: Callable[..., Any]) -> None:
    page, _ = opened(url, f"#/query?e=ASK%3AA&{DAY}")
    page.wait_for_selector("#plan .bar.answers")
    with page.expect_download() as download:
        page.click("text=CSV")
    content = Path(download.value.path()).read_text()
    assert len(content.splitlines()) == 31
    assert content.startswith("element,source_time,value,status\n")


def test_why_is_a_sample_missing(url: str, opened: Callable[..., Any]) -> None:
    page, problems = opened(url, f"#/explain?e=ASK%3AA&{DAY}")
    page.wait_for_function("() => document.getElementById('sentences').textContent.includes('Backend lake holds')")
    page.wait_for_selector("#findings th")
    assert re.search("stored|buffered", page.text_content("#findings"))
    assert problems == []


def test_a_file_is_loaded(url: str, opened: Callable[..., Any]) -> None:
    page, problems = opened(url, "#/load")
    page.set_input_files("#file", {"name": "run.csv", "mimeType": "text/csv", "buffer": CSV.encode()})
    page.wait_for_selector("#samples th")
    assert page.input_value("input[name=element]") == "{sensor}"
    page.select_option("select[name=kind]", "float")
    page.wait_for_function("() => document.getElementById('refused').textContent.includes('line 4')")
    page.fill("input[name=element]", "LOADED:{sensor}")
    page.press("input[name=element]", "Tab")
    page.wait_for_function("() => document.getElementById('samples').textContent.includes('LOADED:S1')")
    page.click("#load:not([disabled])")
    page.wait_for_selector("#loaded")
    assert re.search(r"2 durable.*1 rejected", page.text_content("#loaded"))
    with urlopen(f"{url}/v1/samples?element={quote('LOADED:*')}&start=2026-01-01T00:00:00Z") as answer:
        assert [row["value"] for row in json.loads(answer.read())["samples"]] == [20.5, 21.0]
    assert problems == []


def test_what_is_no_file_is_told(url: str, opened: Callable[..., Any]) -> None:
    page, _ = opened(url, "#/load")
    page.set_input_files("#file", {"name": "run.exe", "mimeType": "text/plain", "buffer": b"x"})
    page.wait_for_function("() => document.getElementById('load-note').classList.contains('error')")
    assert "send a file that ends in" in page.text_content("#load-note")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize(
    "view", [f"query?e=ASK%3AA&{DAY}", f"explain?e=ASK%3AA&{DAY}", "load"], ids=["query", "explain", "load"]
)
def test_it_fits_the_screen(
    url: str, opened: Callable[..., Any], tmp_path: Path, view: str, width: int, height: int, scheme: str
) -> None:
    page, problems = opened(url, f"#/{view}", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.wait_for_selector("#plan .bar, #findings th, #drop")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = (
        "[...document.querySelectorAll('main *')].filter((n) => parseFloat(getComputedStyle(n).fontSize) < 11.9).length"
    )
    assert page.evaluate(small) == 0
    (tmp_path / "page.png").write_bytes(page.screenshot(full_page=True))  # for a person to look at
    assert problems == []


def test_a_backend_is_stopped_and_started_and_elements_are_listed(url: str, opened: Callable[..., Any]) -> None:
    page, problems = opened(url, "#/archive")
    page.wait_for_selector("#activity a")
    assert "ASK:A" in page.text_content("#activity")
    page.select_option("#order", "lost")
    page.wait_for_function("() => /Nothing was lost|rejected/.test(document.getElementById('activity').textContent)")
    stop = "[title='Stop warm']"
    page.click(stop)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector("#backends .state-paused")
    page.click("[title='Start warm']")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector(stop)
    assert problems == []
