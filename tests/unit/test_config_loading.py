"""What a good configuration becomes: defaults, precedence, and the model's values."""

from pathlib import Path

import pytest

from archiver import registry
from archiver.config import Settings, json_schema, load, locate, parse
from archiver.model import ConfigurationError, SmoothingKind
from archiver.model.time import DAY_NS, NANOSECONDS

MEMORY = '[[backends]]\nname = "m"\nkind = "memory"\n'


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "forebay.toml"
        path.write_text(MEMORY + text)
        return path

    return write


def test_nothing_said_archives_everything_unsmoothed_in_lake_and_warm():
    settings = Settings()
    assert [(backend.name, backend.kind) for backend in settings.backends] == [("lake", "parquet"), ("warm", "sql")]
    (group,) = settings.groups
    assert (group.elements, group.backends, group.smoothing.kind) == (("*",), ("lake", "warm"), SmoothingKind.NONE)
    assert group.retention == 0


def test_a_file_without_groups_archives_everything_in_each_of_its_backends(file):
    (group,) = load(file(""), environment={}).groups
    assert group.backends == ("m",)


def test_durations_become_nanoseconds_and_the_group_the_models_value(file):
    text = """
[[groups]]
name = "slow"
elements = ["BAR:*"]
exclude = ["BAR:x"]
backends = ["m"]
retention = "90d"
smoothing = { kind = "time_and_value", tolerance = 0.5, min_interval = "10s", heartbeat = "1h30m" }
"""
    group = load(file(text), environment={}).archive_groups()["slow"]
    assert group.retention_ns == 90 * DAY_NS
    assert group.smoothing.min_interval_ns == 10 * NANOSECONDS
    assert group.smoothing.heartbeat_ns == 5400 * NANOSECONDS
    assert group.matches("BAR:a")
    assert not group.matches("BAR:x")


def test_flags_go_over_the_environment_and_that_over_the_file(file):
    path = file("[server]\nport = 1\nhost = 'a'\n")
    assert load(path, environment={}).server.port == 1
    environment = {"FOREBAY_SERVER__PORT": "2", "FOREBAY_DATA": "elsewhere", "FOREBAY_TEST_LONG": "1"}
    assert load(path, environment=environment).server.port == 2
    settings = load(path, environment=environment, overrides={"server.port": 3, "server.host": None})
    assert (settings.server.port, settings.server.host, str(settings.data)) == (3, "a", "elsewhere")


def test_the_environment_may_start_a_table_that_the_file_lacks(file):
    assert load(file(""), environment={"FOREBAY_INTAKE__FUTURE": "5m"}).intake.future == 300 * NANOSECONDS


def test_the_environment_cannot_reach_into_a_list(file):
    with pytest.raises(ConfigurationError, match=r"FOREBAY_BACKENDS__NAME = 'x': backends is not a table"):
        load(file(""), environment={"FOREBAY_BACKENDS__NAME": "x"})


def test_options_are_those_of_the_kind():
    (backend,) = parse({"backends": [{"name": "m", "kind": "memory"}]}).backends
    assert type(backend.options(registry.BACKENDS)) is registry.load(registry.BACKENDS, "memory").Options


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().data = "x"


def test_the_schema_knows_the_keys_of_each_kind_and_the_defaults():
    schema = json_schema()
    rules = {rule["if"]["properties"]["kind"]["const"]: rule for rule in schema["$defs"]["BackendSettings"]["allOf"]}
    assert set(rules) == set(registry.names(registry.BACKENDS))
    assert "url" in rules["sql"]["then"]["properties"]
    assert set(rules["sql"]["then"]["propertyNames"]["enum"]) >= {"name", "kind", "lane", "url"}
    assert schema["$defs"]["GroupSettings"]["properties"]["segment"]["default"] == "1d"
    assert schema["properties"]["backends"]["default"][0]["name"] == "lake"


def test_the_file_of_an_archive_is_the_one_named_then_its_own_then_that_of_the_last_run(tmp_path):
    named = tmp_path / "named.toml"
    assert locate(named, tmp_path) == named
    assert locate(None, None) is None
    assert locate(None, tmp_path) is None
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    assert locate(None, tmp_path) == tmp_path / "settings.json"
    (tmp_path / "forebay.toml").write_text("", encoding="utf-8")
    assert locate(None, tmp_path) == tmp_path / "forebay.toml"


def test_settings_come_back_from_json_as_they_were(tmp_path):
    group = {"name": "g", "elements": ["*"], "backends": ["m"], "retention": "5y", "smoothing": {"kind": "old_new"}}
    settings = parse({"groups": [group], "backends": [{"name": "m", "kind": "memory"}]})
    file = tmp_path / "settings.json"
    file.write_text(settings.model_dump_json(exclude={"data", "server"}), encoding="utf-8")
    assert load(file, environment={}) == settings


def test_files_of_rules_lie_beside_the_file_that_names_them(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/forebay.toml").write_text('[events]\nrules = ["rules.toml", "/etc/more.toml"]\n')
    monkeypatch.chdir(tmp_path)
    settings = load(Path("site/forebay.toml"), environment={})
    assert settings.events.rules == (tmp_path / "site/rules.toml", Path("/etc/more.toml"))
