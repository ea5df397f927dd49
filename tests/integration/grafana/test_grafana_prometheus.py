"""Prometheus' HTTP API: series, what expressions are worth, errors, and the requests that Grafana sends."""

import json

import pytest

T0 = 1_767_225_600


def told(answer):
    document = answer.json()
    assert document["status"] == "error"
    return answer.status_code, document["errorType"], document["error"]


# -- which series there are ----------------------------------------------------------------------------


def test_every_element_with_numbers_is_a_series(board):
    found = board.data("series", **{"match[]": '{element=~".+"}'})
    assert found == [
        {"__name__": "VAC:P1", "element": "VAC:P1", "group": "vacuum", "unit": "mbar"},
        {"__name__": "VAC:P2", "element": "VAC:P2", "group": "vacuum"},
        {"__name__": "host.cpu", "element": "host.cpu", "group": "rest"},
    ]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("VAC:P1", ["VAC:P1"]),
        ('{__name__="host.cpu"}', ["host.cpu"]),
        ('{element="P one"}', ["VAC:P1"]),
        ('{__name__=~"VAC:.*"}', ["VAC:P1", "VAC:P2"]),
        ('{__name__=~"VAC"}', []),
        ('{group="vacuum",unit=""}', ["VAC:P2"]),
        ('{group="vacuum",unit!="mbar"}', ["VAC:P2"]),
        ('{element!~"VAC:.*",group=~".+"}', ["host.cpu"]),
        ('{element="nobody"}', []),
        ("note", []),
    ],
)
def test_selectors_choose_series(board, selector, names):
    assert [one["element"] for one in board.data("series", **{"match[]": selector})] == names


def test_labels_and_their_values(board):
    assert board.data("labels") == ["__name__", "element", "group", "unit"]
    assert board.data("labels", **{"match[]": '{element="host.cpu"}'}) == [
        "__name__",
        "element",
        "group",
    ]
    assert board.data("label/__name__/values") == ["VAC:P1", "VAC:P2", "host.cpu"]
    assert board.data("label/group/values") == ["rest", "vacuum"]
    assert board.data("label/element/values", **{"match[]": '{group="rest"}'}) == ["host.cpu"]
    assert board.data("label/nothing/values") == []
    cut = board.get("/api/v1/label/element/values", limit=1).json()
    assert (cut["data"], cut["warnings"]) == (["VAC:P1"], ["results truncated due to limit"])


def test_metadata_says_unit_and_description(board):
    assert board.data("metadata", metric="VAC:P1") == {
        "VAC:P1": [{"type": "gauge", "help": "pump, inlet", "unit": "mbar"}]
    }
    assert board.data("metadata", metric="nobody") == {}
    assert len(board.data("metadata", limit=2)) == 2


# -- what they are worth ------------------------------------------------------------------------------


def test_a_value_holds_until_the_next_sample(board):
    assert board.range("VAC:P1") == {
        "VAC:P1": [(0, 0.5), (10, 10.5), (20, 20.5), (30, 30.5), (40, 40.5), (50, 50.5), (60, 59.5)]
    }


def test_nothing_holds_after_a_source_was_disconnected(board):
    assert board.range("VAC:P2") == {"VAC:P2": [(0, 1.0), (10, 1.0), (20, 2.0)]}


def test_a_value_holds_no_longer_than_asked(board):
    cpu = '{__name__="host.cpu"}'
    assert board.range(cpu)["host.cpu"][0] == (0, 7.0)
    assert board.range(cpu, lookback_delta="5m") == {}
    assert board.data("query", query=cpu, time=T0, lookback_delta="5m")["result"] == []
    assert board.range(cpu, start=100_000, end=100_060) == {}, "no longer than a day"


def test_times_are_multiples_of_the_step(board):
    assert [time for time, _ in board.range("VAC:P1", start=3, end=37)["VAC:P1"]] == [10, 20, 30]
    assert [time for time, _ in board.range("VAC:P1", start=1, end=2, step=0.5)["VAC:P1"]] == [1, 1.5, 2]


@pytest.mark.parametrize(
    ("function", "at_20", "at_30"),
    [
        ("avg", 10.0, 20.0),
        ("min", 0.5, 10.5),
        ("max", 19.5, 29.5),
        ("sum", 200.0, 400.0),
        ("count", 20, 20),
        ("last", 19.5, 29.5),
    ],
)
def test_functions_see_the_range_before_each_time(board, function, at_20, at_30):
    found = dict(board.range(f"{function}_over_time(VAC:P1[20s])")["VAC:P1"])
    assert (found[20], found[30]) == pytest.approx((at_20, at_30))
    assert 0 not in found
    instant = board.data("query", query=f"{function}_over_time(VAC:P1[20s])", time=T0 + 30)
    assert instant["resultType"] == "vector"
    assert float(instant["result"][0]["value"][1]) == pytest.approx(at_30)
    assert "__name__" not in instant["result"][0]["metric"]


@pytest.mark.parametrize(("range_s", "step"), [(7, 5), (5, 5), (4, 10), (15, 10)])
def test_ranges_and_steps_of_any_length_give_what_the_samples_say(board, range_s, step):
    found = board.range(f"avg_over_time(VAC:P1[{range_s}s])", step=step)["VAC:P1"]
    for time, value in found:
        inside = [second + 0.5 for second in range(60) if time - range_s <= second < time]
        assert value == pytest.approx(sum(inside) / len(inside)), time
    assert len(found) == 60 // step


def test_samples_of_a_range_as_they_are(board):
    found = board.data("query", query="VAC:P2[1m]", time=T0 + 60)
    assert found["resultType"] == "matrix"
    assert found["result"][0]["values"] == [[T0, "1"], [T0 + 15, "2"]]


def test_arithmetic_with_numbers(board):
    assert board.data("query", query="1+1", time=T0) == {"resultType": "scalar", "result": [T0, "2"]}
    assert board.range("VAC:P2 * 10 - 1")["VAC:P2"] == [(0, 9.0), (10, 9.0), (20, 19.0)]
    assert board.range("(2 - 1) / VAC:P2")["VAC:P2"] == [(0, 1.0), (10, 1.0), (20, 0.5)]
    assert board.range("-VAC:P2")["VAC:P2"][0] == (0, -1.0)
    assert board.range('{element="nobody"} * 2') == {}
    (one,) = board.data("query", query="VAC:P2 / 0", time=T0)["result"]
    assert one["value"] == [T0, "+Inf"]


def test_nothing_is_held_beyond_now(board):
    from archiver.model import SampleBatch
    from archiver.model.time import now

    at = now()
    board.archive.intake.submit(SampleBatch.from_columns("VAC:NOW", [at], [1.0])).result()
    found = board.data("query_range", query="VAC:NOW", start=at / 1e9 - 60, end=at / 1e9 + 3600, step=1)["result"]
    assert found == [] or max(time for time, _ in found[0]["values"]) <= now() / 1e9


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("rate(VAC:P1[5m])", "the function rate"),
        ("sum(VAC:P1)", "an aggregation"),
        ("VAC:P1 offset 5m", "offset and @"),
        ("VAC:P1 + VAC:P2", "two sets of series"),
        ("VAC:P1 > 3", "the operator >"),
        ("avg_over_time(VAC:P1[5m:1m])", "a subquery"),
    ],
)
def test_what_is_not_understood_is_named_with_what_is(board, query, why):
    status, kind, error = told(board.get("/api/v1/query", query=query))
    assert (status, kind) == (400, "bad_data")
    assert why in error
    assert "understood are selectors" in error


@pytest.mark.parametrize(
    "params",
    [
        {"query": "VAC:P1 +"},
        {"query": '{element=~"("}'},
        {"query": '{element=~".*"}'},
        {"query": ""},
        {"query": "VAC:P1", "start": "yesterday"},
        {"query": "VAC:P1", "step": "0"},
        {"query": "VAC:P1", "step": "nan"},
        {"query": "VAC:P1", "step": "1ms"},
        {"query": "VAC:P1", "end": "1"},
        {"query": "VAC:P1", "start": "1e300"},
        {"query": "VAC:P1[5m]"},
        {"query": "avg_over_time(VAC:P1[1e400])"},
        {"query": "avg_over_time(VAC:P1[300000y])"},
        {"query": "(" * 9000 + "VAC:P1" + ")" * 9000},
        {"query": "-" * 900 + "VAC:P1"},
    ],
)
def test_bad_parameters_are_bad_data(board, params):
    whole = {"start": str(T0), "end": str(T0 + 60), "step": "10", **params}
    assert told(board.get("/api/v1/query_range", **whole))[:2] == (400, "bad_data")


def test_too_much_is_an_error_of_the_execution(board, monkeypatch):
    monkeypatch.setattr("services.grafana.evaluating.MOST_CELLS", 5)
    found = board.get("/api/v1/query_range", query="VAC:P1", start=T0, end=T0 + 60, step=10)
    assert told(found)[:2] == (422, "execution")


def test_a_path_that_there_is_not_is_an_error_in_its_form(board):
    assert told(board.get("/api/v1/nothing"))[:2] == (404, "not_found")


# -- what Grafana sends -------------------------------------------------------------------------------


def test_the_requests_of_grafanas_data_source(board):
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def post(path, **fields):
        answer = board.request("POST", f"/api/v1/{path}", data=fields, headers=form)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    assert post("query", query="1+1", time=str(T0))["result"][1] == "2"  # its health check
    assert board.data("status/buildinfo")["version"]
    assert "element" in post("labels", start=str(T0), end=str(T0 + 60))
    assert board.data("label/__name__/values", start=T0, end=T0 + 60, limit=40000)
    assert post("series", **{"match[]": '{__name__="VAC:P1"}', "start": str(T0), "end": str(T0 + 60)})
    plotted = post("query_range", query='{group="vacuum"}', start=str(T0), end=f"{T0 + 60}", step="15")
    assert [one["metric"]["element"] for one in plotted["result"]] == ["VAC:NOW", "VAC:P1", "VAC:P2"][-2:]
    assert all(isinstance(value, str) for one in plotted["result"] for _, value in one["values"])


def test_a_part_is_never_given_for_the_whole_in_silence(board, monkeypatch):
    lane = board.archive.lanes["lake"]
    lane.backend, kept = _Broken(lane.backend), lane.backend
    try:
        found = board.get("/api/v1/query_range", query="VAC:P1", start=T0, end=T0 + 60, step=10)
    finally:
        lane.backend = kept
    document = json.loads(found.content)
    assert document["status"] == "error" or document["warnings"]


class _Broken:
    """A backend that cannot be read."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        if name in ("read", "last_before", "read_chunks"):
            from archiver.model import TransientError

            def fail(*given, **more):
                raise TransientError("it is out")

            return fail
        return getattr(self._backend, name)
