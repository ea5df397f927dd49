"""The alarm list in a real browser: what comes is seen, acknowledged, shelved, and told when it is refused."""

import json
import time
from urllib.request import Request, urlopen

import pytest

from archiver.security import Keys, Role
from archiver.testing.service import running_service, until

RULES = """
[[rules]]
name = "oxygen-low"
kind = "threshold"
elements = "OXYGEN*"
below = 19.5
alarm = "danger"
text = "{key}: oxygen is at {value} %"

[[rules]]
name = "hot"
kind = "threshold"
elements = "T*"
above = 80.0
alarm = "warning"
text = "{key} is at {value}"

[[rules]]
name = "trip"
kind = "threshold"
elements = "TRIP*"
above = 0.5
alarm = "trip"
"""
CONFIG = """
[events]
rules = ["rules.toml"]
[[alarm_classes]]
name = "trip"
priority = 90
acknowledgement = "latched"
"""


def prepare(data):
    (data / "rules.toml").write_text(RULES)
    (data / "forebay.toml").write_text(CONFIG)


@pytest.fixture
def url(tmp_path):
    prepare(tmp_path)
    with running_service(tmp_path) as service:
        yield service.url


def call(url, path, body=None, method=None, key=""):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with urlopen(Request(f"{url}{path}", data, headers, method=method)) as answer:
        return json.loads(answer.read() or "{}")


def send(url, values, key=""):
    now = time.time_ns()
    rows = [{"element": name, "source_time": now, "value": value} for name, value in values.items()]
    call(url, "/v1/samples", rows, key=key)


def alarms(url, **chosen):
    query = "&".join(f"{name}={text}" for name, text in chosen.items())
    return call(url, f"/v1/alarms?{query}")["alarms"]


def have(url, values):
    """Send samples and return alarms by key, once there is one for each."""
    send(url, values)
    until(lambda: len(alarms(url)) == len(values))
    return {alarm["key"]: alarm for alarm in alarms(url)}


def row(page, text):
    return page.locator("#alarms > tr[data-alarm]", has_text=text)


def test_what_comes_is_seen_without_asking_and_acknowledged_with_the_keyboard(opened, url):
    page, problems = opened(url, "#/alarms")
    page.locator("#alarms", has_text="No alarm has ever come").wait_for()
    page.locator("#alarm-live", has_text="Live").wait_for()
    send(url, {"T1": 85.0})
    row(page, "T1 is at 85").locator("[data-label=State]", has_text="active, unacknowledged").wait_for()
    send(url, {"OXYGEN1": 18.5})
    row(page, "oxygen is at 18.5 %").wait_for()
    first = page.locator("#alarms > tr[data-alarm]").first
    assert "OXYGEN1" in first.text_content()  # the more urgent one is above, though it came later
    assert "danger 80" in first.text_content()
    page.locator("#alarm-badge", has_text="2").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    row(page, "OXYGEN1").locator("[data-label=State]", has_text="active, acknowledged").wait_for()
    page.locator("#alarms > tr[data-alarm]").first.get_by_text("T1 is at 85").wait_for()  # more urgent now
    page.keyboard.press("a")  # the next one has the focus, also when it was put in another place
    page.locator("#alarm-badge").wait_for(state="hidden")
    assert {alarm["state"] for alarm in alarms(url)} == {"active_acknowledged"}
    send(url, {"T1": 20.0, "OXYGEN1": 21.0})
    page.locator("#alarms", has_text="Nothing stands: every alarm is normal.").wait_for()
    assert problems == []


def test_the_badge_is_right_on_other_views(opened, url):
    page, problems = opened(url, "#/explain")
    have(url, {"T1": 85.0, "T2": 86.0})
    page.locator("#alarm-badge", has_text="2").wait_for()
    assert page.locator("#alarm-badge").get_attribute("aria-label") == "2 unacknowledged"
    for alarm in alarms(url):
        call(url, f"/v1/alarms/{alarm['id']}/acknowledge", {})
    page.locator("#alarm-badge").wait_for(state="hidden")
    assert problems == []


def test_shelving_wants_a_reason_and_is_taken_back(opened, url):
    have(url, {"T1": 85.0})
    page, problems = opened(url, "#/alarms")
    row(page, "T1").get_by_role("button", name="Look").press("Enter")
    acts = page.locator("#alarms .acts")
    acts.get_by_role("button", name="Shelve for").click()
    assert page.evaluate("document.querySelector('.acts .say').validationMessage") == "Say why."
    acts.locator(".say").fill("calibration")
    acts.locator("select").select_option("2h")
    acts.get_by_role("button", name="Shelve for").click()
    state = row(page, "T1").locator("[data-label=State]")
    state.filter(has_text="calibration").wait_for()
    assert "beneath: active, unacknowledged" in state.text_content()
    page.locator("#alarms .transitions", has_text="shelved").wait_for()
    page.locator("[data-state=shelved]", has_text="shelved 1").wait_for()
    page.locator("#alarm-badge").wait_for(state="hidden")
    assert acts.get_by_role("button", name="Shelve for").is_hidden()
    acts.get_by_role("button", name="Unshelve").click()
    state.filter(has_not_text="shelved").wait_for()
    acts.locator(".say").fill("fan is dismounted")
    acts.get_by_role("button", name="Take out of service").click()
    state.filter(has_text="out of service").wait_for()
    acts.get_by_role("button", name="Return to service").click()
    state.filter(has_not_text="out of service").wait_for()
    acts.locator(".say").fill("seen on site")
    acts.get_by_role("button", name="Comment").click()
    row(page, "T1").locator(".last-said", has_text="seen on site").wait_for()
    assert problems == []


def test_a_latched_alarm_is_reset(opened, url):
    (alarm,) = have(url, {"TRIP1": 1.0}).values()
    call(url, f"/v1/alarms/{alarm['id']}/acknowledge", {})
    send(url, {"TRIP1": 0.0})
    page, problems = opened(url, "#/alarms?state=latched")
    row(page, "TRIP1").get_by_role("button", name="Reset").click()
    page.locator("#alarms", has_text="No alarm is in this state.").wait_for()
    assert alarms(url)[0]["state"] == "normal"
    assert problems == []


def test_nobody_acknowledges_what_he_has_not_seen(opened, url):
    have(url, {"T1": 85.0})
    page, _ = opened(url, "#/alarms")
    row(page, "T1 is at 85").wait_for()
    page.route("**/v1/alarms?*", lambda route: route.abort())  # it does not get to know that the alarm came again
    page.route("**/v1/alarms/live", lambda route: route.abort())
    send(url, {"T1": 20.0})
    until(lambda: not alarms(url, state="active"))
    send(url, {"T1": 91.0})
    until(lambda: alarms(url, state="active"))
    row(page, "T1").get_by_role("button", name="Acknowledge").click()
    page.locator("#alarms-note.error", has_text="it came again at").wait_for()
    assert alarms(url)[0]["state"] == "active_unacknowledged"


def test_all_that_are_shown_are_acknowledged_at_once_and_no_other(opened, url):
    have(url, {"T1": 85.0, "T2": 86.0, "T3": 87.0, "OXYGEN1": 18.0})
    page, problems = opened(url, "#/alarms?rule=hot")
    page.get_by_role("button", name="Acknowledge all 3 shown").click()
    page.locator("dialog.question", has_text="T2 is at 86").wait_for()
    page.locator("dialog.question").get_by_role("button", name="Acknowledge").click()
    page.locator("#alarms-note", has_text="Acknowledged 3 of 3.").wait_for()
    assert {alarm["key"]: alarm["state"] for alarm in alarms(url, state="active_unacknowledged")} == {
        "OXYGEN1": "active_unacknowledged"
    }
    assert problems == []


def test_what_is_chosen_is_in_the_address(opened, url):
    have(url, {"T1": 85.0, "T2": 86.0, "OXYGEN1": 18.0})
    page, problems = opened(url, "#/alarms")
    row(page, "OXYGEN1").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("t2")
    row(page, "OXYGEN1").wait_for(state="detached")
    assert page.locator("#alarms > tr[data-alarm]").count() == 1
    page.wait_for_function("location.hash === '#/alarms?search=t2'")
    page.select_option("#alarm-priority", "80")
    page.locator("#alarms", has_text="No alarm fits what is chosen above.").wait_for()
    page.fill("#alarm-search", "")
    row(page, "OXYGEN1").wait_for()
    page.locator(".states [data-state=active_unacknowledged]").click()
    page.wait_for_function("location.hash === '#/alarms?state=active_unacknowledged&priority=80'")
    page.reload()
    row(page, "OXYGEN1").wait_for()
    assert page.locator("#alarm-priority").input_value() == "80"
    assert page.locator(".states [aria-pressed=true]").text_content() == "active, unacknowledged 3"
    assert problems == []


def test_who_may_only_read_is_offered_nothing(tmp_path, opened):
    prepare(tmp_path)
    reader, _ = Keys(tmp_path).create("reader", [Role.READ])
    writer, _ = Keys(tmp_path).create("writer", [Role.INGEST])
    with running_service(tmp_path) as service:
        send(service.url, {"T1": 85.0, "T2": 86.0}, writer)
        until(lambda: len(call(service.url, "/v1/alarms", key=reader)["alarms"]) == 2)
        page, _ = opened(service.url, "#/alarms")
        page.fill("#key", reader)
        page.keyboard.press("Enter")
        row(page, "T1").get_by_role("button", name="Look").click()
        page.locator("#alarms .transitions", has_text="came").wait_for()
        assert page.locator("#alarms .acts:visible").count() == 0
        assert page.locator("#alarms .next:visible, #acknowledge-all:visible").count() == 0


def test_an_archive_that_is_away_is_said_and_what_came_meanwhile_is_shown_afterwards(opened, url):
    have(url, {"T1": 85.0})
    page, _ = opened(url, "#/alarms")
    row(page, "T1").wait_for()
    page.route("**/v1/**", lambda route: route.abort())
    send(url, {"T2": 99.0})
    page.locator(".states [data-state=active]").click()
    page.locator("#alarms-note.error", has_text="does not answer").wait_for()
    row(page, "T1").wait_for()
    page.unroute("**/v1/**")
    row(page, "T2 is at 99").wait_for()


def test_without_rules_it_says_how_to_begin(tmp_path, opened):
    with running_service(tmp_path) as service:
        page, problems = opened(service.url, "#/alarms")
        page.locator("#alarms", has_text="There are no rules yet").wait_for()
        assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_a_thousand_alarms_fit_the_screen(thousand, opened, tmp_path, width, height, scheme):
    page, problems = opened(thousand, "#/alarms", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.locator("#more-alarms", has_text="the first 200 of 1,000").wait_for()
    assert page.locator("#alarm-badge").text_content() == "999+"
    assert page.locator("#alarms > tr[data-alarm]").count() == 200
    row(page, "T").first.get_by_role("button", name="Look").click()
    page.locator("#alarms .transitions", has_text="came").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    (tmp_path / f"alarms-{width}-{scheme}.png").write_bytes(page.screenshot())  # for a person to look at
    page.click("#more-alarms")
    page.locator("#more-alarms", has_text="the first 400 of 1,000").wait_for()
    assert problems == []


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    data = tmp_path_factory.mktemp("thousand")
    prepare(data)
    with running_service(data) as service:
        have(service.url, {f"T{number}": 81.0 + number for number in range(1000)})
        yield service.url
