"""The contract suite of backends: what every `archiver.ports.Backend` is held to.

A distribution with a backend of its own subclasses it in a test module, with one fixture::

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def harness(self, tmp_path):
            harness = PluginHarness(MyBackend, tmp_path)
            yield harness
            harness.close()

Put ``pytest.register_assert_rewrite("archiver.testing")`` at the top of your ``conftest.py`` to see what differs.
"""

from __future__ import annotations

from archiver.ports import Backend, Options
from archiver.testing.backend_suite.aggregation import AggregationContract
from archiver.testing.backend_suite.life import (
    CompactionContract,
    OutageContract,
    RestartContract,
    SegmentContract,
)
from archiver.testing.backend_suite.reads import (
    ConcurrencyContract,
    InventoryContract,
    LastBeforeContract,
    ReadContract,
)
from archiver.testing.backend_suite.values import ValuesContract
from archiver.testing.backend_suite.versions import VersionsContract
from archiver.testing.backend_suite.writes import CommitContract, DuplicateContract, PositionContract


class BackendContract(
    ValuesContract,
    PositionContract,
    DuplicateContract,
    CommitContract,
    VersionsContract,
    ReadContract,
    LastBeforeContract,
    InventoryContract,
    ConcurrencyContract,
    RestartContract,
    OutageContract,
    SegmentContract,
    CompactionContract,
    AggregationContract,
):
    """All of it."""

    def test_it_is_a_backend(self, backend: Backend) -> None:
        """The verbs are there, and the class says which options it takes."""
        assert isinstance(backend, Backend)
        assert issubclass(backend.Options, Options)
        assert backend.name == "backend"
