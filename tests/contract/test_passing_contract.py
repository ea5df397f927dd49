"""Every registered backend that only passes samples on, under the suite that third parties use as well."""

from __future__ import annotations

import pytest

from archiver.testing.passing_contract import PassingContract, PassingHarness


class TestPassing(PassingContract):
    """All of the suite, on all of the registry."""

    @pytest.fixture
    def harness(self, passing_harness: PassingHarness) -> PassingHarness:
        return passing_harness
