"""Alarms that were, in a real browser: over a trend, as pairs and figures; and the rules that make them."""

import json
import time
from urllib.request import Request, urlopen

import pytest

from archiver.security import Keys, Role
from archiver.testing.service import running_service, until

RULES = """
[[rules]]
name = "hot"
kind = "threshold"
elements = "T*"
above = 80.0
alarm = "alert"
text = "{key} is at {value}"
"""
MINUTE = 60 * 10**9


def prepare(data):
    (data / "rules.toml").write_text(RULES)
    (data / "forebay.toml").write_text('[events]\nrules = ["rules.toml"]\n')


def call(url, path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{url}{path}", data, {"Content-Type": "application/json"}, method=method)) as answer:
        return json.loads(answer.read() or "{}")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Lend an archive in which T1 was too hot for five minutes, and T2 is."""
    data = tmp_path_factory.mktemp("data")
    prepare(data)
    with running_service(data) as service:
        now = time.time_ns()
        values = [("T1", 20.0, 30), ("T1", 91.5, 20), ("T1", 20.0, 15), ("T2", 99.0, 5)]
        for name, value, ago in values:
            call(service.url, "/v1/samples", [{"element": name, "source_time": now - ago * MINUTE, "value": value}])
        until(lambda: len(call(service.url, "/v1/alarms/history?start=now-1h")["pairs"]) == 2)
        yield service.url


def bands(page):
    """Return how many px of the top of the plot have the colour of a band."""
    return page.evaluate("""() => {
        const probe = document.body.appendChild(document.createElement("span"));
        probe.style.color = "var(--band-2)";
        const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
        probe.remove();
        const canvas = document.querySelector("#plot canvas");
        const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: 30 });
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const { data } = context.getImageData(0, 0, copy.width, copy.height);
        let found = 0;
        for (let i = 0; i < data.length; i += 4) found += data[i] === r && data[i + 1] === g && data[i + 2] === b;
        return found;
    }""")


def test_alarms_of_what_is_shown_are_drawn_over_its_trend_and_switched(opened, url):
    page, problems = opened(url, "#/trends?e=T1&last=3600")
    span = page.locator("#alarm-spans li", has_text="T1 is at 91.5")
    span.filter(has_text="for 5 min").wait_for()
    assert page.locator("#alarm-spans li").count() == 1  # T2 is not shown
    until(lambda: page.wait_for_timeout(20) or bands(page) > 100)
    page.click("#alarm-overlay")
    span.wait_for(state="detached")
    until(lambda: page.wait_for_timeout(20) or bands(page) == 0)
    page.reload()  # it is kept
    page.locator("#alarm-overlay[aria-pressed=false]").wait_for()
    page.click("#alarm-overlay")
    span.wait_for()
    assert problems == []


def test_pairs_and_figures_of_a_range(opened, url):
    page, problems = opened(url, "#/alarms?show=history&last=3600")
    page.locator("#pairs tr", has_text="T1 is at 91.5").filter(has_text="5 min").wait_for()
    page.locator("#pairs tr", has_text="T2 is at 99").filter(has_text="still").wait_for()
    assert page.locator("#figures tr", has_text="In 10 minutes, at most").locator("td").first.text_content() == "1"
    page.get_by_role("row", name="T1 hot 1 50 %").wait_for()
    assert page.locator(".rates rect").count() == 2
    page.select_option("#window", "60")
    page.locator("#pairs", has_text="Nothing came in this range.").wait_for()
    page.wait_for_function("location.hash.includes('last=60')")
    assert problems == []


def test_an_alarm_leads_to_its_own_history_and_its_rule(opened, url):
    page, problems = opened(url, "#/alarms?state=all")
    row = page.locator("#alarms > tr[data-alarm]", has_text="T1")
    row.get_by_role("button", name="Look").click()
    page.locator("#alarms .below:visible").get_by_text("When it came and went").click()
    page.locator("#pairs tr", has_text="T1").wait_for()
    assert page.locator("#pairs tr", has_text="T2").count() == 0
    page.get_by_role("link", name="Rules").click()
    page.locator("#rules tr", has_text="above 80").wait_for()
    assert problems == []


def write(page, **rule):
    page.fill("#rule-text", json.dumps({"name": "warm", "kind": "threshold", "elements": ["T*"], **rule}))


def test_a_rule_is_checked_tried_put_in_force_and_taken_out(opened, url):
    page, _ = opened(url, "#/alarms?show=rules")
    page.locator("#rules-state", has_text="1 rule").wait_for()
    write(page, abov=50.0)
    page.locator("#rule-check.error", has_text="did you mean 'above'?").wait_for()
    page.fill("#rule-text", "{")
    page.locator("#rule-check.error", has_text="This is no JSON").wait_for()
    write(page, above=50.0)
    page.locator("#rule-check:not(.error)", has_text="above 50").wait_for()
    page.click("#try-rule")
    page.locator("#rule-trial", has_text="2 alarms a day, of 2 instances: 2 came, 1 gone.").wait_for()
    assert [rule["name"] for rule in call(url, "/v1/rules")["rules"]] == ["hot"]
    page.click("#put-rule")
    page.locator("#rules-note", has_text="warm is in force, version 1.").wait_for()
    row = page.locator("#rules tr[data-rule=warm]")
    row.get_by_role("button", name="Look").click()
    page.locator("#rules details", has_text="Version 1").wait_for()
    page.click("#remove-rule")
    page.locator("dialog.question").get_by_role("button", name="Take it out").click()
    row.wait_for(state="detached")
    assert [rule["name"] for rule in call(url, "/v1/rules")["rules"]] == ["hot"]


def test_who_is_no_administrator_may_try_a_rule_and_no_more(tmp_path, opened):
    prepare(tmp_path)
    key, _ = Keys(tmp_path).create("reader", [Role.READ])
    with running_service(tmp_path) as service:
        page, _ = opened(service.url, "#/alarms?show=rules")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.locator("#rules tr[data-rule=hot]").wait_for()
        page.locator("#put-rule").wait_for(state="hidden")
        assert page.locator("#remove-rule").is_hidden()
        page.click("#try-rule")
        page.locator("#rule-trial", has_text="It would have found nothing.").wait_for()


@pytest.mark.parametrize("part", ["history", "rules"])
@pytest.mark.parametrize("width", [1280, 390])
def test_they_fit_the_screen(opened, url, tmp_path, part, width):
    page, problems = opened(url, f"#/alarms?show={part}", viewport={"width": width, "height": 900})
    page.locator({"history": "#pairs tr svg", "rules": "#rules tr[data-rule=hot]"}[part]).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    (tmp_path / f"{part}-{width}.png").write_bytes(page.screenshot(full_page=True))  # for a person to look at
    assert problems == []
