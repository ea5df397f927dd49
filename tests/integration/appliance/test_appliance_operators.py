"""What is right here where the appliance is wrong, and what no recording has: over HTTP, on the recorded samples."""

import json

import pytest
from appliance_gold import RECORDINGS

TIMES = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:10:00Z"}


def recorded(name):
    (series,) = json.loads((RECORDINGS / "answers" / name).read_bytes())
    return series["data"]


def asked(gold, pv, **more):
    answer = gold.get("/retrieval/data/getData.json", pv=pv, **{**TIMES, **more})
    assert answer.status_code == 200
    (series,) = answer.json()
    return series["data"]


def test_an_empty_bin_of_optimized_is_what_held(gold):
    """The appliance repeats the mean, the extremes and the count of the bin before."""
    ours, theirs = asked(gold, "optimized_5(GOLD:GAP)"), recorded("gap_optimized_5.json")
    assert [row["secs"] for row in ours] == [row["secs"] for row in theirs]
    values = {row["secs"]: row["val"] for row in ours}
    assert values[1772323500] == [19.0, 0.0, 19.0, 19.0, 0.0]
    assert values[1772323860] == [21.0, 0.0, 21.0, 21.0, 0.0]
    assert {row["secs"]: row["val"] for row in theirs}[1772323500] == [19.0, 0.0, 19.0, 19.0, 1.0]
    last = asked(gold, "optimized_10(GOLD:DBL)")[-1]
    assert (last["val"], last["severity"]) == ([15.193013, 0.0, 15.193013, 15.193013, 0.0], 2)  # the sample that holds
    assert recorded("op_stats_60.json")[-1]["val"][0] == pytest.approx(17.859557)  # the mean of the bin before


def test_the_counts_of_optimized_add_up(gold):
    for pv, count in (("GOLD:GAP", 21), ("GOLD:DBL", 120), ("GOLD:INT", 20)):
        for points in (2, 5, 10):
            assert sum(row["val"][4] for row in asked(gold, f"optimized_{points}({pv})")) == count


def test_the_severity_of_an_empty_bin_is_not_that_of_the_next_one(gold):
    ours, theirs = asked(gold, "optimLastSample_5(GOLD:GAP)"), recorded("gap_optimLastSample_5.json")
    assert [row["val"] for row in ours] == [pytest.approx(row["val"]) for row in theirs]
    at = {row["secs"]: (row["severity"], there["severity"]) for row, there in zip(ours, theirs, strict=True)}
    assert at[1772323500] == (0, 1)


def test_few_samples_of_optim_last_sample_are_given_as_they_are(gold):
    assert asked(gold, "optimLastSample_1000(GOLD:DBL)") == asked(gold, "GOLD:DBL")


def test_reduced_data_is_all_data(gold):
    assert asked(gold, "GOLD:DBL", usereduced="true") == asked(gold, "GOLD:DBL")


def test_a_field_of_a_form_counts_each_time(gold):
    answer = gold.request(
        "POST",
        "/retrieval/data/getDataForPVs.json?from=2026-03-01T00:01:00Z&to=2026-03-01T00:01:20Z",
        content="pv=GOLD:DBL&pv=GOLD:INT",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert [series["meta"]["name"] for series in answer.json()] == ["GOLD:DBL", "GOLD:INT"]


def test_bins_in_csv(gold):
    body = gold.get("/retrieval/data/getData.csv", pv="statsSample_60(GOLD:GAP)", **TIMES).text
    assert body.splitlines()[1] == "1772323290,[14.0,2.7386127875258306,10.0,18.0,9.0],0,0,0"
    assert body.endswith("\n\n")


def test_deviations_of_samples_before_a_gap_are_found_behind_it(gold):
    """All PVs are paused at noon: the last sample before holds, as it does in the appliance."""
    row = asked(gold, "GOLD:DBL", **{"from": "2026-03-05T00:00:00Z", "to": "2026-03-05T00:00:00Z"})
    assert row == recorded("t_after.json")


def test_too_many_bins_are_refused_in_words(gold):
    answer = gold.get(
        "/retrieval/data/getData.json", pv="mean_1(GOLD:DBL)", **{**TIMES, "from": "2000-01-01T00:00:00Z"}
    )
    assert answer.status_code == 413
    assert "longer bins" in answer.json()["detail"]


def test_a_bad_argument_is_told_before_the_first_byte(gold):
    span = {"from": "2026-03-01T00:01:00Z", "to": "2026-03-01T00:01:20Z"}
    answer = gold.get("/retrieval/data/getDataForPVs.json", pv=["GOLD:DBL", "mean_x(GOLD:INT)"], **span)
    assert answer.status_code == 404
    assert "mean_60" in answer.json()["detail"]


def test_an_unknown_format_is_empty(gold):
    answer = gold.get("/retrieval/data/getData.xyz", pv="GOLD:DBL", **TIMES)
    assert (answer.status_code, answer.content) == (200, b"")


def test_states_and_booleans_have_names(gold):
    gold.archive.catalog.describe("GOLD:STATE", gold.metadata(states={0: "shut", 1: "open"}))
    gold.submit("GOLD:STATE", [1, 0], "enum")
    gold.submit("GOLD:FLAG", [True, False], "bool")
    for pv, names in (("GOLD:STATE", ("shut", "open")), ("GOLD:FLAG", ("false", "true"))):
        (series,) = gold.get("/retrieval/data/getData.json", pv=pv, fetchLatestMetadata="true", **TIMES).json()
        assert (series["meta"]["ENUM_0"], series["meta"]["ENUM_1"]) == names
        assert [row["val"] for row in series["data"]] == [1, 0]


def test_a_wide_integer_is_exact_in_json_and_a_double_in_raw(gold):
    gold.submit("GOLD:WIDE", [2**53 + 1, 5], "int")
    assert [row["val"] for row in asked(gold, "GOLD:WIDE")] == [2**53 + 1, 5]


def test_who_asks_from_elsewhere_is_told_that_he_may(gold):
    answer = gold.request("GET", "/retrieval/bpl/getVersion", headers={"Origin": "http://grafana.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in gold.get("/retrieval/bpl/getVersion").headers
    missing = gold.request("GET", "/retrieval/bpl/nothing", headers={"Origin": "http://grafana.example"})
    assert (missing.status_code, missing.headers["access-control-allow-origin"]) == (404, "*")


def test_a_body_that_is_no_list_is_refused(gold):
    for content, media_type in ((b"{", "application/json"), (b'{"a": 1}', "application/json"), (b"\xff", "text/plain")):
        answer = gold.request(
            "POST", "/retrieval/data/getDataAtTime", content=content, headers={"Content-Type": media_type}
        )
        assert answer.status_code == 400
