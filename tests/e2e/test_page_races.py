"""The page in a hurry: answers that come late, out of order, or to a view that was left; an archive that comes back."""

import json
import re
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from archiver.testing.service import running_service, until

DAY = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:01:00Z"
VIEWS = ["trends", "archive", "storage", "query", "explain", "load"]
SECOND = 10**9
T0 = 1_767_225_600 * SECOND


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("data")) as service:
        yield service.url


@pytest.fixture(autouse=True)
def samples(url, post):
    names = ["RACE:A", "RACE:B", "RACE:BB"]
    post(
        url, [{"element": name, "source_time": T0 + n * SECOND, "value": float(n)} for name in names for n in range(9)]
    )


class Held:
    """Requests that wait until the test lets them go."""

    def __init__(self, page, pattern):
        self.page = page
        self.routes = []
        page.route(pattern, lambda route: self.routes.append(route))

    def wait(self, number):
        until(lambda: self.page.wait_for_timeout(20) or len(self.routes) >= number)

    def release(self, index):
        with self.page.expect_response(self.routes[index].request.url):
            self.routes[index].continue_()


def settle(page):
    """Return when the page has done what it does with the answers that it has."""
    page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)))")


def go(page, fragment):
    page.evaluate("(hash) => { location.hash = hash; }", fragment)


def test_views_that_are_left_at_once_leave_nothing_behind(opened, url):
    page, problems = opened(url, "#/load")
    page.wait_for_selector("#drop")
    for _ in range(3):
        for view in VIEWS:
            go(page, f"#/{view}?e=RACE%3AA&{DAY}")
            page.wait_for_selector(f"#view[data-view={view}]")
    go(page, "#/archive")
    page.wait_for_selector("#backends td[data-label=State]")
    settle(page)
    assert page.url.endswith("#/archive")
    assert problems == []


def test_what_a_left_view_waited_for_does_not_take_the_address(opened, url):
    page, problems = opened(url, "#/load")
    page.wait_for_selector("#drop")
    held = Held(page, "**/v1/backends")
    go(page, f"#/query?e=RACE%3AA&{DAY}")
    held.wait(1)
    go(page, f"#/query?e=RACE%3AB&{DAY}")
    held.wait(2)
    for route in held.routes:
        route.continue_()
    page.wait_for_selector("#plan .bar.answers")
    settle(page)
    assert "e=RACE%3AB" in page.url
    assert page.locator(".chips li").count() == page.locator(".chips li", has_text="RACE:B").count() == 1
    assert problems == []


def test_a_view_that_is_called_with_something_else_does_not_take_the_address_back(opened, url):
    page, _ = opened(url, f"#/explain?e=RACE%3AA&{DAY}")
    page.wait_for_selector("#findings th")
    page.evaluate(
        """(hash) => {
        location.hash = hash;  // the browser tells of it in a later turn
        const last = document.getElementById("window");
        last.append(new Option("15 minutes", "900"));
        last.value = "900";
        last.dispatchEvent(new Event("change"));
    }""",
        f"#/explain?e=RACE%3AB&{DAY}",
    )
    page.wait_for_function("() => document.querySelector('.picker input').value === 'RACE:B'")
    page.locator("#sentences", has_text="RACE:B").wait_for()
    assert "e=RACE%3AB" in page.url


def test_an_older_list_does_not_come_after_a_newer_one(opened, url):
    page, problems = opened(url, "#/load")
    held = Held(page, "**/v1/elements/activity?by=silent*")
    go(page, "#/archive")
    held.wait(1)
    page.select_option("#order", "lost")
    page.locator("#activity", has_text="Nothing was lost.").wait_for()
    held.routes[0].abort()
    settle(page)
    assert page.text_content("#activity") == "Nothing was lost."
    assert page.text_content("#backends-note") == ""
    assert problems == []


def test_the_elements_are_those_that_were_chosen_last(opened, url):
    page, problems = opened(url, "#/load")
    held = Held(page, "**/v1/elements/metadata?element=RACE%3AA")
    go(page, f"#/trends?e=RACE%3AA&{DAY}")
    held.wait(1)
    page.fill("#search", "race:bb")
    page.locator("#search-matches [role=option]", has_text="RACE:BB").wait_for()
    page.keyboard.press("Enter")
    held.wait(2)
    for index in (1, 0):
        held.release(index)
        page.wait_for_selector("[data-element='RACE:BB']")
    settle(page)
    assert page.locator("#values tbody tr").count() == 2
    assert problems == []


def test_enter_takes_what_was_typed_not_what_was_listed_before(opened, url):
    page, problems = opened(url, f"#/trends?e=RACE%3AA&{DAY}")
    page.wait_for_selector("[data-element='RACE:A']")
    page.fill("#search", "race:")
    page.wait_for_function("() => document.querySelectorAll('#search-matches [role=option]').length === 3")
    held = Held(page, "**/v1/elements?*search=race%3Abb*")
    page.fill("#search", "race:bb")
    page.keyboard.press("Enter")
    held.wait(1)
    held.release(0)
    page.wait_for_selector("[data-element='RACE:BB']")
    assert page.locator("#values tbody tr").count() == 2
    assert problems == []


def test_the_file_that_was_dropped_last_is_the_one_that_is_shown(opened, url):
    page, problems = opened(url, "#/load")
    held = Held(page, "**/v1/files?name=first.csv")
    for name in ("first", "second"):
        text = f"time,{name}\n2026-01-01T00:00:00Z,1.5\n".encode()
        page.set_input_files("#file", {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": text})
    page.get_by_text("second.csv: the first rows").wait_for()
    held.routes[0].abort()
    settle(page)
    assert page.locator("h3", has_text="first.csv").count() == 0
    assert "Check which column" in page.text_content("#load-note")
    assert problems == []


def test_who_leaves_trends_watches_nothing_any_more(opened, url):
    page, problems = opened(url)
    ended = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    with page.expect_response(re.compile("/v1/live")):
        go(page, "#/trends?e=RACE%3AA&last=60")
    go(page, "#/archive")
    until(lambda: page.wait_for_timeout(20) or any("/v1/live" in address for address in ended))
    until(lambda: page.wait_for_timeout(20) or watchers(url) == 0)
    assert problems == []


def watchers(url):
    with urlopen(f"{url}/metrics") as answer:
        return int(float(re.search(r"^forebay_live_watchers (\S+)$", answer.read().decode(), re.M)[1]))


def test_trends_begin_once_the_archive_is_there(opened, url):
    page, _ = opened(url, "#/load")
    page.route("**/v1/**", lambda route: route.abort())
    go(page, "#/trends")
    page.locator("#plot-note.error", has_text="does not answer").wait_for()
    page.unroute("**/v1/**")
    page.wait_for_selector("#values tbody tr")
    page.locator("#plot-note.error").wait_for(state="detached")


def test_an_element_that_the_archive_did_not_describe_is_asked_for_again(opened, url):
    page, _ = opened(url, "#/load")
    page.route("**/v1/elements/metadata*", lambda route: route.abort())
    go(page, f"#/trends?e=RACE%3AA&{DAY}")
    page.locator("[data-element='RACE:A']", has_text="does not answer").wait_for()
    page.unroute("**/v1/elements/metadata*")
    page.locator("[data-element='RACE:A'] td[data-label=count]", has_text="9").wait_for()


def test_a_query_is_not_forgotten_while_the_archive_is_away(opened, url):
    page, _ = opened(url, "#/load")
    page.route("**/v1/backends", lambda route: route.abort())
    go(page, f"#/query?e=RACE%3AA&{DAY}&who=lake")
    page.locator("#query-note.error", has_text="does not answer").wait_for()
    assert page.locator("#run").is_disabled()
    page.unroute("**/v1/backends")
    page.wait_for_selector("#plan .bar.answers")
    assert page.input_value("[name=who]") == "lake"
    assert "who=lake" in page.url


def test_what_was_said_of_a_link_stays_while_the_plot_follows(opened, url):
    page, problems = opened(url, "#/trends?e=RACE%3AA&last=60")
    page.wait_for_selector("#plot canvas")
    page.click("#link")
    page.locator("#said", has_text=re.compile("link is on the clipboard|#/trends")).wait_for()
    ticks = "async () => (await import('/js/views/trends.js')).mounted().ticks"
    begun = page.evaluate(ticks)
    until(lambda: page.wait_for_timeout(20) or page.evaluate(ticks) > begun + 2)
    assert page.text_content("#said")
    assert problems == []


def test_an_address_that_nobody_meant_shows_something(opened, url):
    for fragment in ("#/constructor", "#/trends?last=1e300&e=RACE%3AA", "#/explain?last=-1", "#/storage?job=nobody"):
        page, problems = opened(url, fragment)
        page.wait_for_selector("#view .card")
        settle(page)
        assert problems == []


def test_no_element_that_was_taken_away_comes_back_by_itself(opened, url):
    page, _ = opened(url, f"#/trends?e={quote('RACE:A')}&{DAY}")
    page.locator("[data-element='RACE:A'] button").click()
    page.locator("#plot-note", has_text="No element is chosen").wait_for()
    ticks = "async () => (await import('/js/views/trends.js')).mounted().ticks"
    begun = page.evaluate(ticks)
    until(lambda: page.wait_for_timeout(20) or page.evaluate(ticks) > begun + 4)
    assert page.locator("#values tbody tr").count() == 0
    assert json.dumps(page.url).count("RACE") == 0


def test_a_change_that_is_done_after_its_view_was_left_does_not_wake_it(opened, url):
    page, problems = opened(url, "#/archive")
    held = Held(page, "**/v1/backends/*/stop")
    page.locator("[title^='Stop ']").first.click()
    held.wait(1)
    go(page, "#/load")
    page.wait_for_selector("#drop")
    asked = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(url)))
    held.routes[0].fulfill(status=204)
    until(lambda: page.wait_for_timeout(20) or "/health/ready" in asked)
    assert not [path for path in asked if path.startswith(("/v1/backends", "/v1/ledger", "/v1/elements"))]
    assert problems == []
