"""Storage on the page in a real browser: dead letters, segments and verification of an archive that has them all."""

import json
import re
from urllib.request import Request, urlopen

import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import SampleBatch, parse_time
from archiver.security import Keys, Role
from archiver.testing.service import running_service, until

CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"
lane = { flush_interval = "20ms" }

[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
lane = { flush_interval = "20ms" }

[[groups]]
name = "plant"
elements = ["*"]
backends = ["lake", "warm"]
segment = "1d"
retention = "36500d"
"""
DAY = 86_400 * 10**9
T0 = parse_time("2026-01-01T00:00:00Z")


@pytest.fixture
def url(tmp_path):
    """Lend an archive with three days in two backends, and two dead letters."""
    fill(tmp_path)
    with running_service(tmp_path) as service:
        yield service.url


def fill(data):
    (data / "forebay.toml").write_text(CONFIG)
    with Archive(config.load(data / "forebay.toml", overrides={"data": str(data)})) as archive:
        times = [T0 + day * DAY + k for day in range(3) for k in range(10)]
        archive.intake.submit(SampleBatch.from_columns("PUMP:A", times, [float(k) for k in range(30)])).result()
        assert archive.flush()
        odd = SampleBatch.from_columns("PUMP:ODD", [T0 + 1, T0 + 2], [1.5, 2.5])
        archive.dead_letters.add("warm", "plant", "numeric overflow in column value", odd)
        other = SampleBatch.from_columns("PUMP:SPARE", [T0 + 3], [3.5])
        archive.dead_letters.add("lake", "plant", "too odd", other)


def call(url, path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{url}{path}", data, {"Content-Type": "application/json"}, method=method)) as answer:
        return json.loads(answer.read() or "{}")


def lose(url):
    """Have one backend never get three samples that the other one gets."""
    call(url, "/v1/backends/warm/stop", {})
    rows = {"element": "PUMP:A", "source_time": [T0 + DAY + 100 + k for k in range(3)], "value": [7.0, 8.0, 9.0]}
    call(url, "/v1/samples", rows)
    until(lambda: state(url, "lake")["lag_samples"] == 0)
    assert call(url, "/v1/backends/warm/discard", {})["discarded"] == 3
    call(url, "/v1/backends/warm/start", {})
    until(lambda: state(url, "warm")["state"] == "running")


def state(url, backend):
    return next(one for one in call(url, "/v1/backends")["backends"] if one["name"] == backend)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Lend an archive that nobody changes."""
    data = tmp_path_factory.mktemp("shared")
    fill(data)
    with running_service(data) as service:
        lose(service.url)
        yield service.url


def look(page, table, text):
    """Open what is below the row that has a text."""
    row = page.locator(f"#{table} > tr", has_text=text).first
    row.get_by_text("Look").press("Enter")
    return row.locator("xpath=following-sibling::tr[1]")


def test_a_dead_letter_is_looked_at_and_sent_again(opened, url):
    page, problems = opened(url, "#/storage")
    first = page.locator("#letters > tr", has_text="PUMP:ODD").first
    first.get_by_text("numeric overflow in column value").wait_for()
    assert first.locator("td[data-label=Backend]").text_content() == "warm"
    assert first.locator("td[data-label=Samples]").text_content() == "2"
    look(page, "letters", "PUMP:ODD").get_by_text("2.5").wait_for()
    first.get_by_text("Send again").press("Enter")
    page.locator("#letters-note", has_text="Dead letter 1 was sent again: 2 durable").wait_for()
    first.wait_for(state="detached")
    assert [one["id"] for one in call(url, "/v1/dead-letters")["dead_letters"]] == [2]
    page.check("#replayed")
    page.locator("#letters > tr", has_text="sent again 20").wait_for()
    assert problems == []


def test_a_dead_letter_is_saved_mended_and_sent_in_its_place(opened, url):
    page, problems = opened(url, "#/storage")
    below = look(page, "letters", "PUMP:ODD")
    with page.expect_download() as download:
        below.get_by_text("Save as NDJSON").click()
    text = download.value.path().read_bytes()
    assert text.count(b"2.5") == 1
    mended = {"name": "mended.ndjson", "mimeType": "", "buffer": text.replace(b"2.5", b"99.5")}
    below.locator("input[type=file]").set_input_files(mended)
    page.locator("#letters-note", has_text="was sent again: 2 durable").wait_for()
    got = call(url, "/v1/samples?element=PUMP:ODD&start=2026-01-01T00:00:00Z")["samples"]
    assert [one["value"] for one in got] == [1.5, 99.5]
    assert problems == []


def test_a_mended_file_that_is_wrong_changes_nothing_and_is_told(opened, url):
    page, _ = opened(url, "#/storage")
    below = look(page, "letters", "PUMP:ODD")
    wrong = {"name": "mended.ndjson", "mimeType": "", "buffer": b'{"element": "PUMP:ODD"}'}
    below.locator("input[type=file]").set_input_files(wrong)
    page.locator("#letters-note.error", has_text="nothing was replayed").wait_for()
    assert len(call(url, "/v1/dead-letters")["dead_letters"]) == 2


def test_the_oldest_segments_are_dropped_once_somebody_has_read_what_goes(opened, url):
    page, problems = opened(url, "#/storage")
    below = look(page, "segments", "warm")
    below.locator("tbody tr").nth(2).wait_for()
    below.locator("input").fill("2026-01-01T00:00:00")
    below.get_by_role("button", name="Drop …").click()
    below.get_by_text("No closed segment ends by then").wait_for()
    below.locator("input").fill("2026-01-03T12:00:00")
    below.get_by_role("button", name="Drop …").press("Enter")
    dialog = page.locator("dialog.question")
    dialog.get_by_text("Drop 2 segments of plant in warm?").wait_for()
    assert "20 samples" in dialog.text_content()
    assert "lake lists 20 samples" in dialog.text_content()
    page.keyboard.press("Enter")  # is a no: that is where the focus is
    dialog.wait_for(state="detached")
    assert len(call(url, "/v1/segments?backend=warm")["segments"]) == 3
    below.get_by_role("button", name="Drop …").click()
    dialog.get_by_role("button", name="Drop", exact=True).click()
    page.locator("#segments-note", has_text="Dropped 2 segments of plant in warm, 20 samples").wait_for()
    assert len(call(url, "/v1/segments?backend=warm")["segments"]) == 1
    page.locator("#segments > tr", has_text="warm").locator("td[data-label=Segments]", has_text="1").wait_for()
    assert problems == []


def test_two_backends_are_compared_and_one_is_filled_from_the_other(opened, url):
    lose(url)
    page, problems = opened(url, "#/storage")
    page.click("#compare")
    page.locator("#verdict", has_text="They differ in 3 samples.").wait_for()
    report = page.locator("#report")
    report.get_by_text("3 samples only in lake, 0 samples only in warm").wait_for()
    assert report.locator("tr", has_text="only in lake").count() == 3
    report.get_by_text("Fill warm from lake").click()
    page.locator("dialog.question").get_by_role("button", name="Fill warm").click()
    page.locator("#verdict", has_text="lake and warm hold the same.").wait_for()
    report.get_by_text("Filled warm: 3 samples stored").wait_for()
    assert re.search(r"job=\w+", page.url)
    page.reload()  # what was found is found again
    page.locator("#verdict", has_text="hold the same").wait_for()
    page.fill("[name=elements]", "NOBODY:*")
    page.click("#compare")
    page.locator("#report .sentences, #verification-note.error", has_text="NOBODY:*").first.wait_for()
    assert problems == []


def job(state, **more):
    document = {"id": "0" * 24, "state": state, "request": {"do": "verify", "backends": ["lake", "warm"]}}
    return document | {"created": "", "ended": None, "progress": {}, "result": None, "problem": None} | more


def test_a_comparison_says_how_far_it_is_and_can_be_cancelled(opened, shared):
    page, _ = opened(shared)
    state = [job("running", progress={"done": 3, "total": 4})]
    asked = []

    def answer(route):
        asked.append(route.request.method)
        if route.request.method == "DELETE":
            state[0] = job("cancelled")
        route.fulfill(json={"jobs": state} if route.request.url.endswith("/jobs") else state[0])

    page.route("**/v1/jobs**", answer)
    page.goto(f"{shared}/#/storage")
    page.get_by_text("75 %").wait_for()
    assert page.locator("#report progress").get_attribute("value") == "3"
    page.click("#cancel-verification")
    page.locator("#verification-note", has_text="It was cancelled.").wait_for()
    assert "DELETE" in asked
    state[0] = job("failed", problem={"detail": "the disk is gone"})
    page.reload()
    page.locator("#verification-note.error", has_text="the disk is gone").wait_for()


def test_a_comparison_outlives_an_archive_that_is_away_for_a_while(opened, shared):
    page, _ = opened(shared)
    running = job("running", progress={"done": 1, "total": 4})
    page.route("**/v1/jobs", lambda route: route.fulfill(json={"jobs": [running]}))
    page.route("**/v1/jobs/*", lambda route: route.abort())
    page.goto(f"{shared}/#/storage")
    page.locator("#verification-note", has_text="does not answer").wait_for()
    page.get_by_text("25 %").wait_for()
    page.unroute("**/v1/jobs/*")
    page.route("**/v1/jobs/*", lambda route: route.fulfill(json=job("failed", problem={"detail": "it is there again"})))
    page.locator("#verification-note", has_text="it is there again").wait_for()


def test_a_backend_that_does_not_answer_hides_nothing_of_the_others(opened, shared):
    page, _ = opened(shared)
    down = {"type": "urn:forebay:problem:unavailable", "detail": "warm: the disk is gone"}
    page.route("**/v1/segments?backend=warm", lambda route: route.fulfill(status=503, json=down))
    page.goto(f"{shared}/#/storage")
    page.locator("#segments > tr", has_text="lake").locator("td[data-label=Segments]", has_text="3").wait_for()
    page.locator("#segments .error", has_text="the disk is gone").wait_for()
    assert page.locator("#segments > tr", has_text="disk is gone").inner_text().split() == [
        "warm",
        "warm:",
        "the",
        "disk",
        "is",
        "gone",
    ]


def test_an_empty_archive_says_that_it_is(opened, tmp_path):
    (tmp_path / "forebay.toml").write_text(CONFIG.partition('[[backends]]\nname = "warm')[0])
    with running_service(tmp_path) as service:
        page, problems = opened(service.url, "#/storage")
        page.locator("#letters", has_text="None waits: every backend took what it was given.").wait_for()
        page.locator("#segments", has_text="holds nothing in segments").wait_for()
        page.locator("#verification-note", has_text="There is only one backend").wait_for()
        page.check("#replayed")
        page.locator("#letters", has_text="No sample was ever refused.").wait_for()
        assert problems == []


def test_an_archive_that_does_not_answer_says_that_in_each_part_and_goes_on(opened, shared):
    page, _ = opened(shared)
    page.route("**/v1/**", lambda route: route.abort())
    page.goto(f"{shared}/#/storage")
    for name in ("letters", "segments", "verification"):
        page.locator(f"#{name}-note.error", has_text="does not answer").wait_for()
    page.unroute("**/v1/**")
    page.locator("#letters > tr", has_text="PUMP:ODD").wait_for()
    page.wait_for_selector("#compare:enabled")


def test_many_dead_letters_are_the_oldest_and_how_many_there_are(opened, shared):
    page, _ = opened(shared)
    row = {"backend": "warm", "group": "plant", "samples": 1, "elements": "A", "replayed": None, "reason": "<b>odd</b>"}
    letters = [row | {"id": n + 1, "created": "2026-01-01T00:00:00.000000000Z"} for n in range(2000)]
    page.route("**/v1/dead-letters?*", lambda route: route.fulfill(json={"dead_letters": letters}))
    page.goto(f"{shared}/#/storage")
    page.get_by_text("These are the oldest 100 of 2,000.").wait_for()
    assert page.locator("#letters > tr:not(.below)").count() == 100
    assert page.locator("#letters b").count() == 0


def test_what_a_backend_refused_is_found_from_its_row(opened, shared):
    page, problems = opened(shared, "#/archive")
    page.locator("#backends tr", has_text="warm").get_by_text("refused 2 samples").click()
    page.locator("#letters > tr", has_text="PUMP:ODD").wait_for()
    assert problems == []


@pytest.mark.parametrize("roles", [[Role.READ], [Role.OPERATE], [Role.ADMINISTER]], ids=" ".join)
def test_only_what_the_caller_may_is_offered(opened, tmp_path, roles):
    fill(tmp_path)
    key, _ = Keys(tmp_path).create("page", roles)
    with running_service(tmp_path) as service:
        page, _ = opened(service.url, "#/storage")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        segments = look(page, "segments", "warm")
        segments.locator("tbody tr").first.wait_for()
        letter = look(page, "letters", "PUMP:ODD")
        letter.get_by_text("2.5").wait_for()
        page.locator("#compare:enabled, #verification-note:has-text('operate')").first.wait_for()
        operates = Role.READ not in roles
        again = page.locator("#letters > tr", has_text="PUMP:ODD").first.get_by_text("Send again")
        assert again.is_visible() == operates
        assert letter.get_by_text("Send a mended file").is_visible() == operates
        assert page.locator("#compare").is_visible() == operates
        assert segments.get_by_role("button", name="Drop …").is_visible() == (Role.ADMINISTER in roles)
        page.goto(f"{service.url}/#/archive")
        page.wait_for_selector("#backends td[data-label=State]")
        assert page.locator("[title='Stop warm']").is_visible() == operates


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_fits_the_screen(opened, shared, tmp_path, width, height, scheme):
    page, problems = opened(shared, "#/storage", viewport={"width": width, "height": height}, color_scheme=scheme)
    look(page, "letters", "PUMP:ODD").get_by_text("2.5").wait_for()
    look(page, "segments", "lake").locator("tbody tr").first.wait_for()
    page.click("#compare")
    page.locator("#verdict").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = (
        "[...document.querySelectorAll('main *')].filter((n) => parseFloat(getComputedStyle(n).fontSize) < 11.9).length"
    )
    assert page.evaluate(small) == 0
    (tmp_path / f"storage-{width}-{scheme}.png").write_bytes(page.screenshot(full_page=True))  # for a person to look at
    assert problems == []
