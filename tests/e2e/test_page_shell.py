"""The shell of the page in a real browser: views by the address, colours, keyboard, the archive's tables and health."""

import re
import time

import pytest

from archiver.testing.service import running_service

CONFIG = """
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
        yield service.url


def test_the_tables_of_the_archive_fill(opened, post, url):
    page, problems = opened(url, "#/archive")
    page.wait_for_selector("#health[data-state=ready]")
    post(url, [{"element": "SHELL:A", "source_time": time.time_ns(), "value": 1.0}])
    page.wait_for_selector("#ledger td[data-label=stored]:not(.zero)")
    assert {"lake", "twin"} <= set(re.findall(r"lake|twin", page.text_content("#backends")))
    assert problems == []


def test_views_by_address_and_by_keyboard(opened, url):
    page, problems = opened(url)
    page.wait_for_selector("#view[data-view=trends]")
    page.keyboard.press("3")
    page.wait_for_selector("#view[data-view=archive]")
    assert "#/archive" in page.url
    assert page.get_attribute("nav a[data-view=archive]", "aria-current") == "page"
    page.go_back()
    page.wait_for_selector("#view[data-view=trends]")
    page.keyboard.press("?")
    page.wait_for_selector("#help-dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help-dialog", state="hidden")
    assert problems == []


def test_a_view_that_is_being_left_keeps_nobody(opened, url):
    # the browser tells of a new address in a later turn: what the view writes until then must not take it back
    page, problems = opened(url, "#/explain")
    page.wait_for_selector("#window")
    page.evaluate("""() => {
        location.hash = "#/archive";
        const last = document.getElementById("window");
        last.value = "900";
        last.dispatchEvent(new Event("change"));
    }""")
    page.wait_for_selector("#view[data-view=archive]")
    assert page.url.endswith("#/archive")
    assert problems == []


def test_colours_are_of_the_system_or_chosen_and_kept(opened, url):
    page, problems = opened(url, "#/archive", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.select_option("#theme", "light")
    assert page.evaluate(ground) != dark
    light = page.evaluate(ground)
    page.reload()
    page.wait_for_selector("#health[data-state=ready]")
    assert page.evaluate(ground) == light
    assert problems == []


def test_a_stopped_archive_is_said_in_words(opened, url):
    page, _ = opened(url, "#/archive")
    page.wait_for_selector("#health[data-state=ready]")
    page.route("**/*", lambda route: route.abort())
    page.wait_for_selector("#health[data-state=trouble]")
    assert "does not answer" in page.text_content("#health")
    page.wait_for_function("() => document.querySelector('main [role=alert]').textContent.includes('does not answer')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_archive_fits_the_screen(opened, url, tmp_path, width, height, scheme):
    page, problems = opened(url, "#/archive", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.wait_for_selector("#backends td[data-label=State]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = (
        "[...document.querySelectorAll('body *')].filter((n) => parseFloat(getComputedStyle(n).fontSize) < 12).length"
    )
    assert page.evaluate(small) == 0
    (tmp_path / f"archive-{width}-{scheme}.png").write_bytes(page.screenshot(full_page=True))  # for a person to look at
    assert problems == []
