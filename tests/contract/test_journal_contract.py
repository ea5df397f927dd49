"""Every registered journal under the contract suite that third parties use as well."""

from __future__ import annotations

import pytest

from archiver.testing.harness import JournalHarness
from archiver.testing.journal_contract import JournalContract


class TestJournal(JournalContract):
    """All of the suite, on all of the registry."""

    @pytest.fixture
    def harness(self, journal_harness: JournalHarness) -> JournalHarness:
        return journal_harness
