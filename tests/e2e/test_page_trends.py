"""Trends in a real browser, against a live archive: to the sample, with gaps and bad quality, live, by keyboard."""

import json
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from archiver.model import format_time
from archiver.testing.service import running_service, until

ELEMENT = "plant:COOLING:OUTLET"
SECOND = 10**9
T0 = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
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
# what the page has, by way of the module that it has loaded
VIEW = "(await import('/js/views/trends.js')).mounted()"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    (data / "forebay.toml").write_text(CONFIG)
    with running_service(data) as service:
        until(lambda: is_known(service.url))
        yield service.url


def is_known(url):
    with urlopen(f"{url}/v1/elements?pattern={quote(ELEMENT)}") as answer:
        return json.loads(answer.read())["total"] == 1


def trends(*names, start=T0, end=T0 + 100 * SECOND, last=None):
    range_ = f"last={last}" if last else f"from={format_time(start)}&to={format_time(end)}"
    return "#/trends?" + "&".join([*(f"e={quote(name, safe='')}" for name in names), range_])


def rows(name, samples):
    return [
        {"element": name, "source_time": T0 + round(s * SECOND), "value": value, "status": status}
        for s, value, status in samples
    ]


def asked(page, expression):
    return page.evaluate(f"async () => {{ const view = {VIEW}; return {expression}; }}")


def wait_for(page, expression):
    until(lambda: asked(page, f"view && ({expression})"))  # there is none before the address is heard of


def painted(page):
    return page.evaluate("document.querySelector('#plot canvas').toDataURL()")


def test_it_follows_what_comes_and_stops_when_one_pans_away(opened, url):
    page, problems = opened(url, trends(ELEMENT, last=60))
    time_of = f"[data-element='{ELEMENT}'] td[data-label=Time]"
    page.wait_for_function("s => document.querySelector(s)?.textContent", arg=time_of)
    was, picture = page.text_content(time_of), painted(page)
    page.wait_for_function("([s, was]) => document.querySelector(s).textContent !== was", arg=[time_of, was])
    until(lambda: painted(page) != picture)
    assert page.get_attribute("#follow", "aria-pressed") == "true"
    page.focus("#plot")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#follow", "aria-pressed") == "false"
    page.wait_for_function("() => location.hash.includes('from=')")
    page.keyboard.press("f")
    assert page.get_attribute("#follow", "aria-pressed") == "true"
    page.wait_for_function("() => location.hash.includes('last=60')")
    assert problems == []


def test_elements_are_found_and_taken_away_with_the_keyboard_alone(opened, post, url):
    post(url, rows("KEYS", [(0, 9.0, 0)]) + [row for i in range(5) for row in rows(f"KEYS:{i}", [(0, float(i), 0)])])
    page, problems = opened(url, trends("KEYS"))
    page.wait_for_selector("[data-element=KEYS]")
    page.focus("#search")
    page.keyboard.type("keys:")
    page.wait_for_function("() => document.querySelectorAll('#search-matches [role=option]').length === 5")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#search", "aria-activedescendant") == "search-match-2"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-element='KEYS:2']")
    page.wait_for_function("() => location.hash.includes('KEYS%3A2')")
    page.fill("#search", "KEYS:*")
    page.wait_for_function("() => document.querySelectorAll('#search-matches [role=option]').length === 6")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-element='KEYS:4']")
    page.focus("[data-element=KEYS] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-element=KEYS]", state="detached")
    assert problems == []


def test_gaps_and_bad_quality_are_drawn_as_such(opened, post, url):
    steps = [(0, 10.0, 0), (20, None, 1 << 56), (30, 11.0, 0), (40, 30.0, 1 << 5), (50, 13.0, 0), (70, None, 0)]
    post(url, rows("QUALITY", steps))
    page, problems = opened(url, trends("QUALITY"))
    wait_for(page, "view.plot.gaps?.QUALITY?.length === 2")
    width, left = asked(page, "view.plot.chart.bbox.width"), asked(page, "view.plot.chart.bbox.left")
    spans = [[round((x - left) / width * 100) for x in gap] for gap in asked(page, "view.plot.gaps.QUALITY")]
    assert spans == [[20, 30], [70, 100]]
    held = "view.series.at('QUALITY', {}n).word"
    words = [asked(page, held.format(T0 + s * SECOND)) for s in (5, 25, 45, 80)]
    assert words == ["good", "disconnected", "invalid", "no value"]
    page.hover("#plot .u-over", position={"x": asked(page, "view.plot.chart.over.clientWidth") * 0.45, "y": 50})
    row = page.locator("[data-element=QUALITY]")
    row.get_by_text("invalid").wait_for()
    assert row.locator("output").text_content() == "30"
    assert problems == []


def test_it_zooms_to_the_sample_and_shows_each(opened, post, url):
    post(
        url,
        {
            "element": "FINE",
            "source_time": [T0 + i * 1000 for i in range(50_000)],
            "value": [i % 7 for i in range(50_000)],
        },
    )
    page, problems = opened(url, trends("FINE", end=T0 + SECOND // 20))
    wait_for(page, "view.plot.dots?.FINE > 1000")
    assert asked(page, "view.plot.dots.FINE") < 20_000  # thinned by the archive
    page.goto(f"{url}/{trends('FINE', start=T0 + 10_000_000, end=T0 + 10_010_000)}")
    wait_for(page, "view.plot.dots?.FINE === 10")
    assert asked(page, f"Number(view.series.at('FINE', {T0 + 10_004_999}n).time - {T0}n)") == 10_004_000
    page.locator("[data-element=FINE] td[data-label=count]", has_text="10").wait_for()
    assert problems == []


def test_pan_by_dragging_zoom_by_wheel_and_by_a_box(opened, post, url):
    post(url, rows("MOVE", [(s, float(s % 9), 0) for s in range(-100, 300)]))
    page, problems = opened(url, trends("MOVE"))
    wait_for(page, "view.plot.dots?.MOVE > 0")
    box = page.locator("#plot .u-over").bounding_box()
    x, y = box["x"], box["y"] + 100
    page.mouse.move(x + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(x, y, steps=5)
    page.mouse.up()
    wait_for(page, f"Math.abs(Number(view.plot.from - {T0 + 50 * SECOND}n)) < 1e9")
    page.mouse.move(x + box["width"] / 2, y)
    page.mouse.wheel(0, -300)
    wait_for(page, "view.plot.to - view.plot.from < 80000000000n")
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.75, y, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    wait_for(page, "view.plot.to - view.plot.from < 20000000000n")
    wait_for(page, "location.hash.includes('from=')")
    assert problems == []


NOTE_WHAT_IS_GIVEN_UP = """() => {
  window.givenUp = [];
  const fetched = window.fetch;
  window.fetch = (path, options) => {
    const answer = fetched(path, options);
    answer.catch((error) => error.name === "AbortError" && window.givenUp.push(String(path)));
    return answer;
  };
}"""


def test_what_is_overtaken_is_given_up(opened, post, url):
    post(url, rows("LATE", [(s, float(s), 0) for s in range(100)]))
    page, _ = opened(url)
    page.wait_for_selector("#plot canvas")
    page.evaluate(NOTE_WHAT_IS_GIVEN_UP)
    held = []
    page.route("**/v1/samples?*LATE*", lambda route: held.append(route))
    page.goto(f"{url}/{trends('LATE')}")
    until(lambda: page.wait_for_timeout(50) or any("points=" in route.request.url for route in held))
    asked(page, f"view.setRange({{from: {T0 + 10**6 * SECOND}n, to: {T0 + (10**6 + 1) * SECOND}n}})")
    page.wait_for_function("() => givenUp.some((path) => path.includes('points='))")
    page.unroute_all(behavior="ignoreErrors")
    asked(page, f"view.setRange({{from: {T0 - 10**6 * SECOND}n, to: {T0 - (10**6 - 1) * SECOND}n}})")
    page.locator("#plot-note").filter(has_not_text="Loading").wait_for()


def test_a_live_sample_that_comes_before_the_answer_is_not_lost(opened, post, url):
    post(url, rows("RACE", [(0, 1.0, 0)]))
    page, problems = opened(url, trends("RACE"))
    wait_for(page, "view.plot.dots?.RACE === 1")
    asked(page, f"view.series.tiles.clear() ?? view.series.append('RACE', {T0 + SECOND}n, '2', 0)")
    wait_for(page, "view.plot.dots?.RACE === 2")
    assert problems == []


def test_each_unit_has_an_axis_and_at_most_four(opened, url):
    page, _ = opened(url)
    shared = page.evaluate(
        "async () => (await import('/js/plot.js')).axesOf("
        "['A', 'A', 'B', 'C', 'D', 'E'].map((unit) => ({unit, kind: 'float'})).concat({unit: 'F', kind: 'text'}))"
    )
    assert shared == [["A"], ["B"], ["C"], ["D", "E"]]


def test_csv_has_all_samples_and_the_picture_is_one(opened, post, url):
    post(url, rows("FILES", [(s / 100, float(s), 0) for s in range(9000)]))
    page, problems = opened(url, trends("FILES"))
    wait_for(page, "view.plot.dots?.FILES > 0")
    with page.expect_download() as download:
        page.click("#csv")
    text = download.value.path().read_text()
    assert len(text.splitlines()) == 9001
    with page.expect_download() as download:
        page.click("#png")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert problems == []


def test_an_overlay_is_painted_until_it_is_taken_away(opened, post, url):
    post(url, rows("OVER", [(0, 1.0, 0)]))
    page, _ = opened(url, trends("OVER"))
    wait_for(page, "view.plot.dots?.OVER > 0")
    paint = f"view.plot.addOverlay((frame) => (window.seen = frame.x({T0 + 50 * SECOND}n)))"
    page.evaluate(f"async () => {{ const view = {VIEW}; window.remove = {paint}; }}")
    page.wait_for_function("() => window.seen > 100")
    page.evaluate("() => { window.remove(); window.seen = 0; }")
    asked(page, "view.plot.drawNow()")
    assert page.evaluate("window.seen") == 0


def test_an_unknown_element_and_what_is_missing_are_said_in_words(opened, url):
    page, _ = opened(url, trends("NO:SUCH"))
    page.locator("[data-element='NO:SUCH']", has_text="no element").wait_for()
    page.route("**/v1/samples?*", lambda route: route.abort())
    page.goto(f"{url}/{trends(ELEMENT)}")
    page.locator("#plot-note.error", has_text="does not answer").wait_for()
    page.unroute("**/v1/samples?*")
    page.locator("#plot-note", has_text="Nothing is archived in this range").wait_for()


def test_a_partial_answer_is_said_with_its_reason(opened, post, url):
    post(url, rows("PART", [(s, float(s), 0) for s in range(100)]))
    missing = {"backend": "lake", "start": format_time(T0 + 10 * SECOND), "end": format_time(T0 + 20 * SECOND)}
    missing |= {"cause": "backend-down", "reason": "the disk is gone", "elements": []}
    body = 'element,source_time,value,status\nPART,2026-01-01T00:00:00Z,1.5,0\n#{"complete":false,"missing":[%s]}\n'

    page, _ = opened(url)
    page.route("**/v1/samples?*points*", lambda route: route.fulfill(body=body % json.dumps(missing)))
    page.goto(f"{url}/{trends('PART')}")
    page.locator("#plot-note.error", has_text="lake: the disk is gone").wait_for()


def test_times_are_shown_in_the_zone_that_is_chosen(opened, post, url):
    post(url, rows("ZONE", [(0, 1.0, 0)]))
    page, problems = opened(url, trends("ZONE"), timezone_id="Asia/Tokyo")
    when = page.locator("[data-element=ZONE] td[data-label=Time]")
    when.filter(has_text="2026-01-01 00:00:00.000").wait_for()
    page.click("#zone")
    when.filter(has_text="2026-01-01 09:00:00.000").wait_for()
    assert problems == []


ALL = (ELEMENT, "plant:BEAM:CURRENT", "plant:STATE", "plant:BEAM:PERMIT", "plant:VALVE1", "plant:BEAM:PROFILE")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_fits_the_screen(opened, url, tmp_path, width, height, scheme):
    look = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    page, problems = opened(url, trends(*ALL, last=60), **look)
    page.wait_for_selector("[data-element='plant:BEAM:PROFILE'] svg polyline")
    page.locator(f"[data-element='{ELEMENT}'] td[data-label=count]:not(:empty)").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = (
        "[...document.querySelectorAll('main *')].filter((n) => parseFloat(getComputedStyle(n).fontSize) < 12).length"
    )
    assert page.evaluate(small) == 0
    (tmp_path / f"trends-{width}-{scheme}.png").write_bytes(page.screenshot(full_page=True))  # for a person to look at
    assert problems == []


def touch(page, kind, *points):
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


@pytest.mark.parametrize("is_steep", [False, True], ids=["side by side", "steep"])
def test_two_fingers_zoom_about_what_is_between_them(opened, post, url, is_steep):
    post(url, rows("PINCH", [(s, float(s % 9), 0) for s in range(-100, 300)]))
    page, problems = opened(url, trends("PINCH"), has_touch=True, viewport={"width": 390, "height": 844})
    page.devtools = page.context.new_cdp_session(page)
    wait_for(page, "view.plot.dots?.PINCH > 0")
    page.locator("#plot").scroll_into_view_if_needed()
    box = page.locator("#plot .u-over").bounding_box()
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(apart):
        across, up = (apart * 0.05, apart) if is_steep else (apart, 0)
        return (middle - across / 2, y - up / 2), (middle + across / 2, y + up / 2)

    touch(page, "touchStart", *fingers(60))
    for apart in (70, 90, 120):
        touch(page, "touchMove", *fingers(apart))
    wait_for(page, "Math.abs(Number(view.plot.to - view.plot.from) - 50e9) < 4e9")
    assert abs(asked(page, f"Number((view.plot.to + view.plot.from) / 2n - {T0}n)") - 50 * SECOND) < 3 * SECOND
    touch(page, "touchMove", *fingers(60))
    touch(page, "touchEnd")
    wait_for(page, "Math.abs(Number(view.plot.to - view.plot.from) - 100e9) < 8e9")
    wait_for(page, "location.hash.includes('from=')")
    assert problems == []


RED = """(from, to) => {  // how tall the red is that is painted between two parts of the width, canvas px
  const { canvas, chart: { bbox: { left, top, width, height } } } = view.plot;
  const wide = Math.max(1, Math.round((to - from) * width));
  const copy = new OffscreenCanvas(wide, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, Math.round(left + from * width), top, wide, height, 0, 0, wide, height);
  const { data } = copy.getImageData(0, 0, wide, height);
  const isRed = (i) => data[i] > 150 && data[i + 1] < 80 && data[i + 2] < 90;
  const rows = new Set();
  for (let i = 0; i < data.length; i += 4) if (isRed(i)) rows.add(Math.floor(i / 4 / wide));
  return rows.size;
}"""


def test_bad_quality_is_seen_among_more_samples_than_there_is_room_for(opened, post, url, tmp_path):
    number = 40_000
    status = [1 << 5 if 0.4 <= i / number < 0.6 or i == number * 8 // 10 else 0 for i in range(number)]
    times = [T0 + i * 100 * SECOND // number for i in range(number)]
    post(
        url,
        {
            "element": "DENSE",
            "source_time": times,
            "value": [(i * 7 % 10) / 2 for i in range(number)],
            "status": status,
        },
    )
    page, problems = opened(url, trends("DENSE"), color_scheme="light")
    wait_for(page, "view.plot.dots?.DENSE > 500")

    def red(start, end):
        return asked(page, f"({RED})({start}, {end})")

    until(lambda: red(0.42, 0.58) > 0)
    band = asked(page, "Math.abs(view.plot.chart.valToPos(0, 'y0', true) - view.plot.chart.valToPos(4.5, 'y0', true))")
    assert red(0.42, 0.58) > 0.9 * band
    assert red(0.45, 0.47) > 0.9 * band  # from the lowest to the highest, wherever one looks
    assert red(0.02, 0.38) == red(0.62, 0.78) == red(0.82, 0.98) == 0
    assert 2 <= red(0.79, 0.81) < 0.3 * band  # one alone
    (tmp_path / "bad.png").write_bytes(page.screenshot())  # for a person to look at
    assert problems == []


def test_a_journal_that_is_gone_is_followed_from_its_beginning(opened, post, url):
    page, _ = opened(url, "#/load")
    page.wait_for_selector("#drop")
    asked_after = []

    def live(route):
        asked_after.append(route.request.headers.get("last-event-id"))
        if len(asked_after) == 1:  # what another archive had said here before
            route.fulfill(content_type="text/event-stream", body='id: gone:7\nevent: latest\ndata: {"samples":[]}\n\n')
        else:
            route.continue_()

    page.route("**/v1/live?*", live)
    answers = []
    page.on("response", lambda answer: answers.append(answer.status) if "/v1/live?" in answer.url else None)
    page.goto(f"{url}/{trends(ELEMENT, last=60)}")
    until(lambda: page.wait_for_timeout(50) or len(answers) >= 3)
    assert asked_after[:3] == [None, "gone:7", None]
    assert answers[:3] == [200, 400, 200]
    newest = f"view.series.at('{ELEMENT}', view.plot.to - 1n)?.time"
    was = asked(page, f"String({newest})")
    wait_for(page, f"String({newest}) !== '{was}'")
    assert "come in" not in page.text_content("#plot-note")
