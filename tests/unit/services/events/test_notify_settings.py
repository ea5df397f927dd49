"""The tables `[[notify]]`: every problem at once, and what is kept of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from archiver import config
from archiver.config import LAST_RUN_FILE
from archiver.model import ConfigurationError, TransientError
from archiver.model.time import NANOSECONDS, now
from services.events.notify import Group, Notice, Notifier
from services.events.notify.kinds.webhook import document, signature
from services.events.notify.notifier import FORGETFUL, PEOPLE, grouping_of

HOOK = {"name": "ops", "kind": "webhook", "url": "https://hook.example/"}


PAGE = (Path(__file__).parents[4] / "docs/how-to/notify.md").read_text(encoding="utf-8")


def examples(language):
    """Return the examples of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(text):
    """Return the names that a program defines."""
    place = {"__name__": "page"}
    exec(compile(text, "notify.md", "exec", dont_inherit=True), place)
    return place


def problems(*tables):
    with pytest.raises(ConfigurationError) as caught:
        config.parse({"notify": list(tables)})
    return caught.value.problems


def test_every_problem_is_named_with_its_place_and_a_fix():
    table = {
        **HOOK,
        "group_wait": 5,
        "match": {"clases": ["x"], "rules": ["regex:("], "min_priority": 256},
        "quiet_hours": [{"start": "22:00", "end": "6", "timezone": "Europe/Berln", "days": ["monday"]}],
        "urls": ["x"],
    }
    found = {line.partition(" =")[0]: line for line in problems(table, HOOK, {"name": "x", "kind": "mial"})}
    assert found["notify[0].match.clases"].endswith("no such key; did you mean 'classes'?")
    assert "not a regular expression" in found["notify[0].match.rules[0]"]
    assert "less than or equal to 255" in found["notify[0].match.min_priority"]
    assert 'write a duration such as "10s"' in found["notify[0].group_wait"]
    assert "no such time zone" in found["notify[0].quiet_hours[0].timezone"]
    assert found["notify[0].urls"].endswith("no such key; did you mean 'url'?")
    assert found["notify[1].name"].endswith("used twice; give each its own name")
    assert found["notify[2].kind"].endswith("no such notifier; did you mean 'mail'?")
    assert {"notify[0].quiet_hours[0].end", "notify[0].quiet_hours[0].days[0]"} <= set(found)


def test_a_file_without_channels_tells_nobody():
    assert config.parse({}).notify == ()


def test_what_the_table_leaves_out_is_usual_for_the_kind():
    table = config.parse({"notify": [{**HOOK, "group_wait": "1s", "send_resolved": False}]}).notify[0]
    made = grouping_of(table, PEOPLE)
    assert (made.wait_ns, made.interval_ns, made.repeat_ns) == (NANOSECONDS, PEOPLE.interval_ns, PEOPLE.repeat_ns)
    assert (made.resolved, made.actions, made.repeat_acknowledged) == (False, True, False)
    assert grouping_of(table, FORGETFUL).repeat_acknowledged


def test_what_was_last_run_is_read_again(tmp_path):
    quiet = {"start": "22:00", "end": "06:00", "unless": {"min_priority": 80}}
    settings = config.parse({"notify": [{**HOOK, "group_by": ["class", "labels.area"], "quiet_hours": [quiet]}]})
    path = tmp_path / LAST_RUN_FILE
    path.write_text(settings.model_dump_json(exclude={"data", "server"}))
    assert config.load(path, environment={}).notify == settings.notify


def test_a_secret_is_not_part_of_a_table():
    for key in ("password", "token", "secret"):
        (problem,) = problems({**HOOK, key: "geheim"})
        assert problem.startswith(f"notify[0].{key} = '***': no such key; did you mean '{key}_env'?")


def test_the_tables_of_the_page_are_in_order():
    found = examples("toml")
    assert len(found) == 5
    kinds = {config.parse(tomllib.loads(text)).notify[0].kind for text in found}
    assert kinds == {"mail", "alertmanager", "mqtt", "webhook"}


def test_the_receiver_of_the_page_knows_who_it_is_from():
    place = run(examples("python")[0])
    sent = str(now() // NANOSECONDS)
    headers = {"X-Forebay-Timestamp": sent, "X-Forebay-Signature": signature("key", sent, b"{}")}
    assert place["is_genuine"](headers, b"{}", "key")
    assert not place["is_genuine"](headers, b"{ }", "key")
    assert not place["is_genuine"](headers, b"{}", "another")
    assert not place["is_genuine"]({**headers, "X-Forebay-Timestamp": "1"}, b"{}", "key")


def test_the_kind_of_the_page_is_one(tmp_path):
    place = run(examples("python")[1])
    kind = place["FileNotifier"]
    made = kind("own", kind.Options(file=tmp_path / "told"))
    assert isinstance(made, Notifier)
    notice = Notice("a", "1", "came", 1, 1, True, "hot", "T1", text="T1 is hot")
    made.send(Group("own", {}, (notice,), frozenset({notice.id})))
    assert (tmp_path / "told").read_text() == f"{notice.id} came T1 is hot\n"
    with pytest.raises(TransientError):
        kind("own", kind.Options(file=tmp_path)).send(Group("own", {}, (notice,), frozenset({notice.id})))


def test_the_document_of_the_page_has_the_fields_of_a_message():
    notice = Notice("a", "1", "came", 1, 1, True, "hot", "T1")
    (shown,) = map(json.loads, examples("json"))
    sent = document(Group("own", {}, (notice,), frozenset({notice.id})))
    assert set(shown) == set(sent)
    assert set(shown["notices"][0]) == set(sent["notices"][0])
