"""Every registered source under the contract suite that third parties use as well."""

from __future__ import annotations

import pytest

from archiver.testing.source_contract import SourceContract, SourceHarness


class TestSource(SourceContract):
    """All of the suite, on all of the registry."""

    @pytest.fixture
    def harness(self, source_harness: SourceHarness) -> SourceHarness:
        return source_harness
