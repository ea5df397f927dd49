"""What goes over the socket: headers with the first bytes of the body, and the requests of Phoebus and Grafana."""

import gzip
import socket
from urllib.parse import quote, urlsplit

import appliance_gold
import httpx
import pytest
from appliance_wire import chunks

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Kind, Metadata, SampleBatch, parse_time
from archiver.testing.service import running_service

START, END = "2026-03-01T00:01:00.123456789Z", "2026-03-01T00:03:00Z"
LONG = 75_000
H2C = {
    "User-Agent": "Java-http-client/17",
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "Content-Length": "0",
}
DOUBLE, WAVEFORM_DOUBLE, INT, ENUM, STRING = 6, 13, 5, 3, 0


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("socket")
    backends = [{"name": "lake", "kind": "parquet", "lane": {"flush_interval": "20ms"}}]
    with Archive(config.parse({"data": str(directory), "backends": backends})) as archive:
        appliance_gold.describe(archive)
        archive.catalog.describe("GOLD:VALVE", Metadata(kind=Kind.ENUM, states={0: "closed", 1: "open"}))
        first = parse_time("2026-03-01T00:00:00Z")
        valve = SampleBatch.from_columns("GOLD:VALVE", [first], [1], kind=Kind.ENUM)
        long = SampleBatch.from_columns(
            "LONG", [first + i * 4_000_000 for i in range(LONG)], [i * 0.5 for i in range(LONG)]
        )
        for batch in (*appliance_gold.recorded_batches(), valve, long):
            archive.intake.submit(batch).result()
    with running_service(directory) as running:
        yield running


@pytest.fixture
def ask(service):
    """Give a function that sends a request as Phoebus does, parameters in its order and percent-encoded."""
    with httpx.Client(base_url=service.url, headers=H2C) as client:

        def send(path, **parameters):
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
            return client.get(f"/retrieval{path}?{query}")

        yield send


def first_bytes(url, target, headers):
    """What one call of `recv` gives of an answer."""
    where = urlsplit(url)
    lines = [f"GET {target} HTTP/1.1", f"Host: {where.netloc}", *(f"{name}: {text}" for name, text in headers.items())]
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection.recv(65536)


@pytest.mark.parametrize("headers", [{"User-Agent": "Java/17"}, H2C], ids=["older", "newer"])
@pytest.mark.parametrize("pv", ["GOLD:DBL", "GOLD:EMPTY", "optimized_100(LONG)", "LONG"])
def test_the_body_begins_with_the_headers(service, pv, headers):
    target = f"/retrieval/data/getData.raw?pv={quote(pv, safe='')}&from={quote(START)}&to={quote(END)}"
    for _ in range(30):  # apart, they would arrive so now and then
        head, _, body = first_bytes(service.url, target, headers).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert body.partition(b"\r\n")[2], "headers came alone: Phoebus takes the PV as unknown"


def test_an_upgrade_to_http_2_is_passed_over_in_silence(service, ask):
    answer = ask("/data/getData.raw", pv="GOLD:DBL", **{"from": START, "to": END})
    assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
    assert "upgrade" not in service.errors().lower()


def test_raw_is_never_compressed(service):
    """Clients send `Accept-Encoding` because their library does, and read what is below it."""
    parameters = {"pv": "LONG", "from": START, "to": END}
    with httpx.stream("GET", f"{service.url}/retrieval/data/getData.raw", params=parameters, headers=GRAFANA) as answer:
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_raw()).startswith(b"\x08\x06\x12\x04LONG")


def test_phoebus_searches(ask):
    answer = ask("/bpl/searchForPVsRegex", regex=".*GOLD:W.*")
    assert answer.text.splitlines() == ["GOLD:WFD", "GOLD:WFI", "GOLD:WFS"]
    assert ask("/bpl/searchForPVsRegex", regex=".*nothing.*").text == ""


def test_phoebus_plots_a_number(ask):
    """Type and limits at the end of the plot, then optimized: samples, or bins where there are too many."""
    ((info, samples),) = chunks(ask("/data/getData.raw", pv="GOLD:DBL", **{"from": END, "to": END}).content)
    assert (info["type"], len(samples)) == (DOUBLE, 1)
    span = {"from": START, "to": END, "fetchLatestMetadata": "true"}
    ((info, samples),) = chunks(ask("/data/getData.raw", pv="optimized_800(GOLD:DBL)", **span).content)
    assert (info["type"], len(samples)) == (DOUBLE, 25)
    meta = info["meta"]
    assert {name: float(meta[name]) for name in ("LOPR", "HOPR", "LOW", "HIGH", "LOLO", "HIHI", "PREC")} == {
        "LOPR": 0,
        "HOPR": 50,
        "LOW": 10,
        "HIGH": 40,
        "LOLO": 5,
        "HIHI": 45,
        "PREC": 2,
    }
    ((info, samples),) = chunks(ask("/data/getData.raw", pv="optimized_10(GOLD:DBL)", **span).content)
    assert (info["type"], info["count"]) == (WAVEFORM_DOUBLE, 5)
    assert all(len(sample["val"]) == 5 for sample in samples)


def test_phoebus_falls_back_to_bins_one_by_one(ask):
    span = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:05:00Z"}
    ((info, samples),) = chunks(ask("/data/getData.raw", pv="ncount(LONG)", **span).content)
    assert (info["type"], [sample["val"] for sample in samples]) == (INT, [LONG])
    latest = {"fetchLatestMetadata": "true"}
    means = chunks(ask("/data/getData.raw", pv="mean_30(LONG)", **span, **latest).content)[0][1]
    for operator in ("std", "min", "max", "count"):
        others = chunks(ask("/data/getData.raw", pv=f"{operator}_30(LONG)", **span).content)[0][1]
        assert [sample["into_year"] for sample in others] == [sample["into_year"] for sample in means]
    assert [sample["val"] for sample in others] == [7_500.0] * 10 + [0.0]


def test_phoebus_plots_states(ask):
    """The type, the number of samples, then each k-th; an enumeration without names would show as an invalid index."""
    ((info, _),) = chunks(ask("/data/getData.raw", pv="GOLD:VALVE", **{"from": END, "to": END}).content)
    assert info["type"] == ENUM
    span = {"from": "2026-03-01T00:00:00Z", "to": END}
    assert chunks(ask("/data/getData.raw", pv="ncount(GOLD:VALVE)", **span).content)[0][1][0]["val"] == 1
    ((info, samples),) = chunks(
        ask("/data/getData.raw", pv="nth_2(GOLD:VALVE)", **span, fetchLatestMetadata="true").content
    )
    assert (info["meta"], samples[0]["val"]) == ({"ENUM_0": "closed", "ENUM_1": "open"}, 1)


def test_phoebus_plots_text(ask):
    ((info, _),) = chunks(ask("/data/getData.raw", pv="GOLD:STR", **{"from": END, "to": END}).content)
    assert info["type"] == STRING
    span = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:10:00Z"}
    assert chunks(ask("/data/getData.raw", pv="ncount(GOLD:STR)", **span).content)[0][1][0]["val"] == 9
    ((_, samples),) = chunks(ask("/data/getData.raw", pv="nth_3(GOLD:STR)", **span).content)
    assert [sample["val"] for sample in samples] == ["plain", "carriage\rreturn", ""]


def test_phoebus_asks_for_an_unknown_pv(ask):
    for pv in ("NO:SUCH", "optimized_800(NO:SUCH)", "ncount(NO:SUCH)", "count_120(NO:SUCH)"):
        assert ask("/data/getData.raw", pv=pv, **{"from": START, "to": END}).status_code == 404


def test_a_known_pv_without_samples_is_not_unknown(ask):
    answer = ask("/data/getData.raw", pv="GOLD:EMPTY", **{"from": START, "to": END})
    ((info, samples),) = chunks(answer.content)
    assert (info["name"], samples) == ("GOLD:EMPTY", [])


GRAFANA = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}


def grafana(service, query):
    """What Grafana's backend reads: it accepts gzip, and unpacks it."""
    with httpx.stream("GET", f"{service.url}/retrieval{query}", headers=GRAFANA) as answer:
        assert answer.status_code == 200
        body = b"".join(answer.iter_raw())
        return gzip.decompress(body) if answer.headers.get("content-encoding") == "gzip" else body


TIMES = "from=2026-03-01T00%3A01%3A00.000%2B00%3A00&pv={}&to=2026-03-01T00%3A03%3A00.000%2B00%3A00"


@pytest.mark.parametrize("operator", ["mean", "max", "min", "std", "ncount", "nth", "firstSample", "errorbar", "loess"])
def test_grafana_asks_by_operator(service, operator):
    ((info, samples),) = chunks(
        grafana(service, "/data/getData.raw?donotchunk=&" + TIMES.format(f"{operator}_20%28GOLD%3ADBL%29"))
    )
    assert info["name"] == "GOLD:DBL"
    assert samples


def test_grafana_asks_for_samples_and_the_last_one(service):
    ((_, samples),) = chunks(grafana(service, "/data/getData.raw?donotchunk=&" + TIMES.format("GOLD%3ADBL")))
    assert len(samples) == 25
    at = "2026-03-01T00%3A03%3A00.000%2B00%3A00"
    ((_, last),) = chunks(grafana(service, f"/data/getData.raw?donotchunk=&from={at}&pv=GOLD%3ADBL&to={at}"))
    assert last == samples[-1:]


def test_grafana_searches_and_checks_health(service):
    assert (
        grafana(service, "/bpl/getMatchingPVs?limit=1000&regex=GOLD%3AW.%2A") == b'["GOLD:WFD","GOLD:WFI","GOLD:WFS"]'
    )
    assert b"forebay" in grafana(service, "/bpl/getVersion")


def test_grafana_in_the_browser(service):
    answer = httpx.get(f"{service.url}/retrieval/data/getData.qw?" + TIMES.format("GOLD%3ADBL"))
    (series,) = answer.json()
    assert series["meta"]["waveform"] is False
    assert [row["millis"] for row in series["data"]][:2] == [1772323255358, 1772323260481]


def test_a_long_answer_comes_whole(service):
    parameters = {"pv": "LONG", "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:05:00Z"}
    answer = httpx.get(f"{service.url}/retrieval/data/getData.raw", params=parameters, timeout=60)
    ((_, samples),) = chunks(answer.content)
    assert len(samples) == LONG
    last = samples[-1]
    assert (last["into_year"], last["nanos"], last["val"]) == (5097600 + 299, 996_000_000, (LONG - 1) * 0.5)
    rows = httpx.get(f"{service.url}/retrieval/data/getData.json", params=parameters, timeout=60).json()[0]["data"]
    assert [row["val"] for row in rows] == [sample["val"] for sample in samples]
