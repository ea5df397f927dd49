"""Every problem of a configuration at once, each with key, value and what to write."""

import pytest

from archiver.config import load, parse
from archiver.model import ConfigurationError

GROUP = {"name": "all", "elements": ["*"], "backends": ["m"]}
MEMORY = {"name": "m", "kind": "memory"}


def problems(**document) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse({"backends": [MEMORY], "groups": [GROUP], **document})
    return caught.value.problems


def group(**changes) -> list[str]:
    return problems(groups=[GROUP | changes])


def test_values_plugins_and_references_are_reported_together():
    found = problems(
        backends=[{"name": "m", "kind": "memry"}],
        groups=[GROUP | {"backends": ["nowhere"], "smoothing": {"kind": "deadbnd", "tolerance": -1}}],
        serverr={},
    )
    keys = {line.partition(" =")[0] for line in found}
    assert keys == {
        "backends[0].kind",
        "groups[0].backends[0]",
        "groups[0].smoothing.kind",
        "groups[0].smoothing.tolerance",
        "serverr",
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: problems(serverr={}), "serverr = {}: no such key; did you mean 'server'?"),
        (lambda: problems(server={"prot": 1}), "server.prot = 1: no such key; did you mean 'port'?"),
        (
            lambda: group(smoothing={"tolerence": 3}),
            "groups[0].smoothing.tolerence = 3: no such key; did you mean 'tolerance'?",
        ),
        (
            lambda: problems(backends=[MEMORY | {"lane": {"flush_row": 1}}]),
            "backends[0].lane.flush_row = 1: no such key; did you mean 'flush_rows'?",
        ),
        (
            lambda: group(smoothing={"kind": "deadband", "tolerance": 1}),
            "groups[0].smoothing.kind = 'deadband': no such kind of smoothing; did you mean 'value'?",
        ),
        (
            lambda: group(smoothing={"kind": "value"}),
            "groups[0].smoothing.tolerance: value needs one, in the element's unit (percent for relative kinds)",
        ),
        (
            lambda: group(smoothing={"kind": "time"}),
            "groups[0].smoothing.min_interval: time needs one, such as 10s",
        ),
        (
            lambda: group(smoothing={"tolerance": -1}),
            "groups[0].smoothing.tolerance = -1: must be greater than or equal to 0",
        ),
        (lambda: group(smoothing="none"), "groups[0].smoothing = 'none': must be a table: write { key = value, ... }"),
        (
            lambda: group(retention=5),
            'groups[0].retention = 5: has no unit: write a duration such as "10s" or "7d"',
        ),
        (
            lambda: group(segment="0s"),
            'groups[0].segment = \'0s\': must be longer than nothing: write a duration such as "10s" or "7d"',
        ),
        (lambda: group(elements=[]), "groups[0].elements = []: must not be empty; name at least one"),
        (lambda: group(name="a b"), "groups[0].name = 'a b': must be letters, digits, _ and - only"),
        (
            lambda: group(elements=["regex:(a"]),
            "groups[0].elements[0] = 'regex:(a': not a regular expression: missing ), unterminated subpattern at "
            "position 0",
        ),
        (lambda: group(backends=["n"]), "groups[0].backends[0] = 'n': no such backend; there are: m"),
        (
            lambda: problems(groups=[GROUP | {"name": "a"}, GROUP | {"name": "a"}])[1:],
            "groups[1].name = 'a': used twice; give each its own name",
        ),
        (lambda: problems(backends=[MEMORY, {"name": "x"}]), "backends[1].kind: missing; add it"),
        (lambda: problems(sources=[{"name": "x", "kind": "hots"}]), "did you mean 'host'?"),
    ],
)
def test_a_mistake_gets_key_value_and_fix(found, expected):
    assert found()[-1].endswith(expected)


@pytest.mark.parametrize("key", ["elements", "backends"])
def test_a_text_where_a_list_belongs(key):
    assert f"groups[0].{key} = 'x': must be a list: write [...]" in group(**{key: "x"})[0]


def test_a_table_where_several_belong():
    assert any("[[...]]" in line for line in problems(backends=MEMORY))


def test_a_key_of_another_kind_is_an_error_of_this_one():
    assert problems(backends=[MEMORY | {"url": "sqlite://"}])[0].startswith(
        "backends[0].url = 'sqlite://': no such key"
    )


def test_a_password_is_not_repeated():
    found = problems(backends=[MEMORY | {"ulr": "postgresql://scada:tiger@host/db"}])
    assert "tiger" not in "".join(found)
    assert "postgresql://scada:***@host/db" in found[0]


def test_a_list_of_only_bad_entries_is_not_called_empty():
    assert len(group(elements=["regex:(a"])) == 1


def test_a_long_value_is_cut():
    assert len(group(name=" " * 5000)[0]) < 200


def test_a_syntax_error_names_the_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('data = "x"\nport = = 3\n')
    with pytest.raises(ConfigurationError, match=r"bad\.toml, line 2, column 8: not TOML: .*: port = = 3$"):
        load(path, environment={})


def test_an_unfinished_file_is_not_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('data = "x')
    with pytest.raises(ConfigurationError, match="not TOML"):
        load(path, environment={})


def test_a_file_in_another_encoding(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes('data = "größe"'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="save it as UTF-8"):
        load(path, environment={})


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", environment={})
