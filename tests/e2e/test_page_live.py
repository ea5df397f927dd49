"""The page in a real browser, against a live `forebay up`: it draws what comes in, at two widths, light and dark."""

import json
import re
import shutil
import time
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Debian's chromium: apt-get install chromium", allow_module_level=True)

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SOON_MS = SOON_S * 1000
ELEMENT = "plant:COOLING:OUTLET"
CONFIG = """
[[sources]]
name = "plant"
kind = "simulator"

[[backends]]
name = "lake"
kind = "parquet"

[[backends]]
name = "twin"
kind = "memory"
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    (data / "forebay.toml").write_text(CONFIG)
    with running_service(data) as service:
        until(lambda: is_known(service.url))
        yield service.url


@pytest.fixture(scope="module")
def browser(url):
    # a new thread of playwright's would count as left over in each test: it lives as long as the module
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SOON_MS)
        yield chromium
        chromium.close()


def is_known(url):
    with urlopen(f"{url}/v1/elements?pattern={quote(ELEMENT)}") as answer:
        return json.loads(answer.read())["total"] == 1


def post(url, rows):
    body = json.dumps(rows).encode()
    with urlopen(Request(f"{url}/v1/samples", body, {"Content-Type": "application/json"})) as answer:
        assert answer.status == 200


def opened(browser, url, fragment="", **options):
    problems = []
    page = browser.new_page(**options)
    page.set_default_timeout(SOON_MS)
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else problems.append(request.url))
    page.goto(f"{url}/{fragment}")
    return page, problems


def painted(page):
    """The pixels of the plot, as the browser has them."""
    return page.evaluate("document.querySelector('#plot canvas').toDataURL()")


def test_the_plot_moves_and_the_tables_fill(browser, url):
    page, problems = opened(browser, url)
    page.wait_for_selector("#plot canvas")
    first, time_shown = painted(page), page.text_content("#latest-time")
    page.wait_for_function("was => document.getElementById('latest-time').textContent !== was", arg=time_shown)
    page.wait_for_function("was => document.querySelector('#plot canvas').toDataURL() !== was", arg=first)
    page.wait_for_selector("#health[data-state=ready]")
    page.wait_for_selector("#ledger td[data-label=stored]:not(.zero)")
    assert {"lake", "twin"} <= set(re.findall(r"lake|twin", page.text_content("#backends")))
    assert page.text_content("#latest-unit")
    assert problems == []
    page.close()


def test_an_element_is_found_with_the_keyboard_alone(browser, url):
    now = time.time_ns()
    names = [*(f"KEYS:{i}" for i in range(5)), "KEYS"]
    post(url, [{"element": name, "source_time": now, "value": i} for i, name in enumerate(names)])
    page, problems = opened(browser, url)
    page.wait_for_selector("#plot canvas")
    page.keyboard.press("Tab")
    page.keyboard.type("keys:")
    page.wait_for_function("() => document.querySelectorAll('#matches [role=option]').length === 5")  # not that of keys
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#search", "aria-activedescendant") == "match-2"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('latest-name').textContent === 'KEYS:2'")
    assert page.text_content("#latest-value") == "2"
    assert "element=KEYS%3A2" in page.url
    assert problems == []
    page.close()


def test_gaps_and_bad_quality_are_drawn_as_such(browser, url):
    now = time.time_ns()
    steps = [
        (0, 10.0, 0),
        (10, 12.0, 0),
        (20, None, 1 << 56),
        (30, 11.0, 0),
        (40, 30.0, 1 << 5),
        (50, 13.0, 0),
        (70, None, 0),
    ]
    post(
        url,
        [
            {"element": "QUALITY", "source_time": now - 100 * 10**9 + s * 10**9, "value": v, "status": status}
            for s, v, status in steps
        ],
    )
    page, problems = opened(browser, url, "#element=QUALITY&window=300")
    page.wait_for_selector("#plot canvas")
    page.wait_for_function("() => document.getElementById('latest-quality').textContent === 'no value'")
    spans = [[round(end - start) for start, end in page.evaluate("gaps")]]
    assert spans[0][0] == 10
    assert spans[0][1] >= 29
    assert page.evaluate("chart.data[2].filter((value) => value !== null)") == [30]
    assert problems == []
    page.close()


def test_an_unknown_element_and_a_stopped_archive_are_said_in_words(browser, url):
    page, _ = opened(browser, url, "#element=NO%3ASUCH")
    page.wait_for_function("() => document.getElementById('plot-note').textContent.includes('no element')")
    page.route("**/v1/**", lambda route: route.abort())
    page.wait_for_selector("#health[data-state=trouble]")
    assert "does not answer" in page.text_content("#health")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_fits_the_screen(browser, url, tmp_path, width, height, scheme):
    look = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    page, problems = opened(browser, url, f"#element={quote(ELEMENT)}&window=60", **look)
    page.wait_for_selector("#plot canvas")
    page.wait_for_selector("#ledger td[data-label=stored]:not(.zero)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((n) => parseFloat(getComputedStyle(n).fontSize) < 12).length"
    )
    assert small == 0
    picture = page.screenshot(full_page=True)
    assert len(picture) > 10_000
    (tmp_path / f"page-{width}-{scheme}.png").write_bytes(picture)  # for a person to look at
    assert problems == []
    page.close()
