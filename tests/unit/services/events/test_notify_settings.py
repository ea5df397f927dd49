"""The tables `[[notify]]`: every problem at once, and what is kept of them."""

from __future__ import annotations

import pytest

from archiver import config
from archiver.config import LAST_RUN_FILE
from archiver.model import ConfigurationError
from archiver.model.time import NANOSECONDS
from services.events.notify.notifier import FORGETFUL, PEOPLE, grouping_of

HOOK = {"name": "ops", "kind": "webhook", "url": "https://hook.example/"}


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
