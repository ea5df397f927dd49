"""Whether a real Oracle is under the contract: said once, and not for each test of the suite."""

from __future__ import annotations

import pytest


def test_a_real_oracle_is_under_the_contract(oracle_url: str, pytestconfig: pytest.Config):
    conftest = next(p for p in pytestconfig.pluginmanager.get_plugins() if hasattr(p, "BACKENDS"))
    assert "sql-oracle" in conftest.BACKENDS["sql"]
