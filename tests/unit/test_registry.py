"""The registry, on distributions that really are on the path."""

import sys
from pathlib import Path

import pytest

from archiver import registry
from archiver.model import ConfigurationError


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a distribution with one backend entry point on the path."""
    before = set(sys.modules)

    def put(distribution: str, entry: str, module: str = "", code: str = "") -> None:
        site = tmp_path / distribution
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.BACKENDS}]\n{entry}\n")
        if module:
            Path(site / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(str(site))

    yield put
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]


def problems(name: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        registry.load(registry.BACKENDS, name)
    return "\n".join(caught.value.problems)


def test_a_third_party_backend_comes_in_through_the_same_door(install):
    install("acme", "acme = plug_acme:Backend", "plug_acme", "class Backend: ...")
    assert "acme" in registry.names(registry.BACKENDS)
    assert registry.load(registry.BACKENDS, "acme").__name__ == "Backend"


def test_an_unknown_name_gets_the_nearest():
    assert problems("parqet") == "kind = 'parqet': no such backend; did you mean 'parquet'?"


def test_an_unknown_name_far_from_all_gets_the_list():
    assert "no such backend; installed are:" in problems("zzz")
    assert "parquet" in problems("zzz")


def test_a_name_that_two_distributions_claim_names_both(install):
    install("acme", "store = plug_acme:Backend")
    install("other", "store = plug_other:Backend")
    message = problems("store")
    assert "acme" in message
    assert "other" in message
    assert "uninstall all but one" in message


def test_a_missing_extra_gives_the_command(install):
    install("acme", "acme = plug_needy:Backend [driver]", "plug_needy", "import no_such_driver")
    assert "pip install 'acme[driver]'" in problems("acme")


@pytest.mark.parametrize("entry", ["acme = plug_absent:Backend", "acme = plug_hollow:Backend"])
def test_an_entry_point_to_nothing_is_called_broken(install, entry):
    install("acme", entry, "plug_hollow", "")
    assert "acme is broken" in problems("acme")
