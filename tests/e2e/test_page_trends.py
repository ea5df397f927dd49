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
    until(lambda: asked(page, expression))


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
