"""Every registered backend, the model included, under the contract suite that third parties use as well."""

from __future__ import annotations

import pytest

from archiver.testing.backend_contract import BackendContract
from archiver.testing.harness import BackendHarness


class TestBackend(BackendContract):
    """All of the suite, on all of the registry."""

    @pytest.fixture
    def harness(self, backend_harness: BackendHarness) -> BackendHarness:
        return backend_harness
