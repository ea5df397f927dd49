"""Rules as they are written: what is taken, what is refused and with which words, and what they say of themselves."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from analytics.events.rules.documents import KINDS
from analytics.events.rules.loading import load, parse, parse_rule
from analytics.events.rules.programs import program_of, words_of
from archiver.model import ConfigurationError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/rules.md").read_text()
SMALLEST: dict[str, dict[str, Any]] = {
    "threshold": {"above": 5.0},
    "condition": {"when": "value > 5.0"},
    "rate": {"rises": 1.0},
    "deviation": {"more_than": 1.0},
    "vote": {"when": "value > 5.0", "at_least": 2},
    "stale": {"after": "5s"},
    "unchanged": {"after": "5s"},
    "absence": {"when": "value > 5.0", "expect": "value < 1.0", "within": "5s"},
    "sequence": {
        "steps": [{"name": "a", "when": "value > 5.0"}, {"name": "b", "when": "value > a.value"}],
        "within": "5s",
    },
    "count": {"more_than": 3, "within": "5s"},
    "aggregate": {"of": "mean", "over": "5m"},
    "states": {"initial": "off", "transitions": [{"from": "off", "to": "on", "when": "value > 5.0"}]},
    "first_out": {"conditions": {"high": "value > 5.0", "low": "value < 1.0"}},
}
EVERY = pytest.mark.parametrize("kind", KINDS)


def rule(kind: str, **more: Any) -> dict[str, Any]:
    return {"name": "r", "kind": kind, "elements": ["T*"], **SMALLEST[kind], **more}


def sequence(first: dict[str, Any], second: dict[str, Any], **more: Any) -> dict[str, Any]:
    steps = [{"name": "a", "when": "good", **first}, {"name": "b", "when": "good", **second}]
    return rule("sequence", steps=steps, **more)


def problems(document: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as found:
        program_of(parse_rule(document))
    return str(found.value)


@EVERY
def test_every_kind_runs_and_is_told(kind: str) -> None:
    made = program_of(parse_rule(rule(kind, suppressed_by="value < 0.0")))
    assert made.name == "r"
    assert "It looks at each of T* by itself." in words_of(parse_rule(rule(kind)))


@EVERY
def test_a_version_is_of_what_it_does(kind: str) -> None:
    one = parse_rule(rule(kind))
    assert parse_rule(rule(kind, description="other words", alarm="alert" if kind != "states" else None)).version == (
        one.version
    )
    assert parse_rule(rule(kind, lateness="7s")).version != one.version


@EVERY
def test_a_rule_is_the_same_after_a_way_through_json(kind: str) -> None:
    one = parse_rule(rule(kind))
    again = one.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"kind": kind}
    assert parse_rule(json.loads(json.dumps(again))) == one


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"name": "r"}, "kind: missing; add it: threshold, condition"),
        ({"name": "r", "kind": "treshold"}, "kind = 'treshold': no such kind of rule; did you mean 'threshold'?"),
        (rule("threshold", abov=3), "abov = 3: no such key; did you mean 'above'?"),
        (rule("threshold", above=None), "above: missing; add it, or below"),
        (rule("threshold", above=2.0, below=1.0, hysteresis=1.0), "would never be gone"),
        (rule("threshold", elements=[]), "elements = []: must not be empty"),
        (rule("threshold", elements=None), "neither of them is there"),
        (rule("threshold", inputs={"a": "A"}), "both are there"),
        (rule("threshold", elements="T{x"), "a capture is a name in braces"),
        (rule("threshold", name="two words"), "must be letters, digits, _ and - only"),
        (rule("threshold", on_delay="5"), "is not a duration"),
        (rule("stale", after="0s"), "must be longer than nothing"),
        (rule("stale", on_delay="5s"), "on_delay = '5s': no such key"),
        (rule("condition", when="value >"), "it ends where a value is missing"),
        (rule("condition", when="valeu > 3.0"), "did you mean 'value'"),
        (rule("condition", suppressed_by="3.0"), "a condition is wanted here"),
        (rule("count", when="good", turns=1.0), "a rule counts samples or turns"),
        (rule("sequence", steps=[{"name": "a", "when": "good"}]), "must have at least 2 entries"),
        (sequence({"absent": True}, {}), "steps[0].absent: a sequence begins with something that came"),
        (sequence({}, {"name": "a"}), "name = 'a' is used 2 times"),
        (sequence({}, {"name": "value"}), "name = 'value' is used 2 times"),
        (sequence({"at_least": 3, "at_most": 2}, {}), "at_most = 2: is less than at_least = 3"),
        (sequence({}, {}, resume="b"), "resume = 'b': goes with after_match = to_first"),
        (sequence({}, {}, after_match="to_first"), "resume = None: name one of the later steps: b"),
        (sequence({"when": "b.value > 0.0"}, {}), "steps[0].when = 'b.value > 0.0': line 1, column 1: there is no 'b'"),
        (rule("states", alarm="alert"), "alarm_states: missing"),
        (rule("states", alarm_states=["onn"]), "no transition leads there; there are: off, on"),
        (rule("states", transitions=[{"from": "off", "to": "came", "when": "good"}]), "no state can be called 'came'"),
        (rule("states", transitions=[{"from": "off", "to": "on"}]), "when: missing; add it, or after"),
        (
            {"name": "r", "kind": "deviation", "more_than": 1, "inputs": {"a": "{x}:A", "b": "{y}:B"}},
            "the inputs capture different things",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_a_mistake_is_told_with_key_value_and_fix(document: dict[str, Any], says: str) -> None:
    assert says in problems({name: value for name, value in document.items() if value is not None})


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n- {name: a, kind: stale, elements: T*}\n- {name: b, kind: nothing}\n")
    with pytest.raises(ConfigurationError) as found:
        load(file)
    assert [str(problem) for problem in found.value.problems] == [
        f"{file}: rules[0].after: missing; add it",
        f"{file}: rules[1].kind = 'nothing': no such kind of rule; there are: {', '.join(KINDS)}",
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("r.toml", "rules = 3", "must be a list of tables"),
        ("r.toml", "[[rule]]\nname = 'a'", "rule: no such key"),
        ("r.toml", "[[rules]", "not TOML"),
        ("r.yaml", "rules: [", "not YAML"),
        ("r.json", "{", "not JSON"),
        ("r.json", '{"rules": [3]}', "rules[0]: must be a table"),
    ],
)
def test_what_is_no_file_of_rules_is_told(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load(tmp_path / name)


def test_two_rules_of_one_name_are_told() -> None:
    with pytest.raises(ConfigurationError, match="name = 'r' is used 2 times"):
        parse({"rules": [rule("stale"), rule("threshold")]})


@pytest.mark.parametrize("block", re.findall(r"```toml\n(\[\[rules\]\].*?)```", PAGE, re.S))
def test_the_examples_of_the_page_run(block: str) -> None:
    for made in parse(tomllib.loads(block)):
        assert words_of(made)


def test_the_page_names_every_kind_and_key() -> None:
    missing = [
        key
        for kind, model in KINDS.items()
        for key in (kind, *(field.alias or name for name, field in model.model_fields.items()))
        if f"`{key}`" not in PAGE
    ]
    assert missing in ([], ["kind"] * len(KINDS))
