"""What is provisioned: every query of every panel answers on an archive, and asks for what there is."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest

ROOT = Path(__file__).parents[3]
GRAFANA, PROMETHEUS = ROOT / "deploy/grafana", ROOT / "deploy/prometheus"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
T0 = 1_767_225_600
VARIABLES = {
    "${element:glob}": "{VAC:P1,VAC:P2}",
    "$__rate_interval": "1m",
    "$__interval": "10s",
    "${__from}": str(T0 * 1000),
    "${__to}": str((T0 + 60) * 1000),
    "$element": "VAC:.*",
    "$group": ".*",
    "$pattern": "*",
}


def filled(text):
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, f"a variable that the test does not know: {text}"
    return text


def panels(path):
    return json.loads(path.read_text(encoding="utf-8"))["panels"]


def targets(source):
    return list(_targets(source))


def _targets(source):
    """Every query of a data source: dashboard, panel, and the query; those of annotations as well."""
    for path in DASHBOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        found = [(panel["title"], target) for panel in board["panels"] for target in panel["targets"]]
        found += [(one["name"], one["target"]) for one in board["annotations"]["list"]]
        for title, target in found:
            if target["datasource"]["uid"] == source:
                yield pytest.param(target, id=f"{path.stem}: {title} {target['refId']}")


def test_there_are_three_dashboards_whose_panels_do_not_overlap():
    assert [path.stem for path in DASHBOARDS] == ["alarms", "archiver-health", "plant-overview"]
    for path in DASHBOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        assert {"uid", "title", "schemaVersion", "panels", "time", "templating", "annotations"} <= board.keys()
        taken = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_data_source_of_a_dashboard_is_provisioned():
    provisioned = (GRAFANA / "provisioning/datasources/forebay.yaml").read_text(encoding="utf-8")
    known = set(re.findall(r"^    uid: (\S+)$", provisioned, re.MULTILINE))
    used = {
        uid for path in DASHBOARDS for uid in re.findall(r'"uid": "(forebay-(?:prom|tab|met)\w+)"', path.read_text())
    }
    assert used == known == {"forebay-prometheus", "forebay-tables", "forebay-metrics"}


@pytest.mark.parametrize("target", targets("forebay-prometheus"))
def test_expressions_over_elements_have_values(board, target):
    assert board.range(filled(target["expr"]))


@pytest.mark.parametrize("target", targets("forebay-tables"))
def test_tables_have_the_columns_that_are_shown(board, target):
    params = [(filled(one["key"]), filled(one["value"])) for one in target["url_options"]["params"]]
    answer = board.request("GET", target["url"], params=params)
    assert answer.status_code == 200, answer.text
    for row in answer.json():
        assert {column["selector"] for column in target["columns"]} <= row.keys()


@pytest.mark.parametrize("name", ["group", "element"])
def test_variables_have_choices(board, name):
    (dashboard,) = [path for path in DASHBOARDS if path.stem == "plant-overview"]
    variables = json.loads(dashboard.read_text())["templating"]["list"]
    (query,) = [one["query"] for one in variables if one["name"] == name]
    selector, label = re.fullmatch(r"label_values\((?:(.*), )?(\w+)\)", query).groups()
    params = {"match[]": filled(selector)} if selector else {}
    assert board.data(f"label/{label}/values", **params)


def test_every_metric_that_is_asked_for_is_counted(board):
    board.get("/v1/samples", element="VAC:P1", start="2001-01-01T00:00:00Z")
    counted = set(re.findall(r"^(\w+)(?:{| )", board.get("/metrics").text, re.MULTILINE))
    rules = re.findall(r"expr: (.*)", (PROMETHEUS / "forebay.rules.yaml").read_text(encoding="utf-8"))
    asked = [filled(param.values[0]["expr"]) for param in targets("forebay-metrics")]
    assert len(rules) > 5
    assert len(asked) > 5
    for text in (*rules, *asked):
        promql_parser.parse(text)
        for name in re.findall(r"\b(?:forebay|http)_\w+", text):
            assert name in counted, text


def test_promtool_understands_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [promtool, "check", "rules", PROMETHEUS / "forebay.rules.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
