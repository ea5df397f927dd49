"""An archive with the samples that were recorded in an EPICS Archiver Appliance, and its application."""

import sys
from pathlib import Path

import pytest

from archiver import config
from archiver.bootstrap import Archive

sys.path.append(str(Path(__file__).parent / "shared"))

import appliance_gold


@pytest.fixture(scope="module")
def gold(tmp_path_factory):
    """Give the application over an archive with the recorded samples."""
    document = {
        "data": str(tmp_path_factory.mktemp("gold")),
        "backends": [{"name": "lake", "kind": "memory"}],
        "groups": [{"name": "all", "elements": ["*"], "backends": ["lake"]}],
        "security": {"anonymous": "all"},
    }
    with Archive(config.parse(document)) as archive:
        appliance_gold.describe(archive)
        for batch in appliance_gold.recorded_batches():
            receipt = archive.intake.submit(batch).result()
            assert receipt.counts == {"buffered": batch.num_rows, "rejected": 0}
        appliance = appliance_gold.Appliance(archive)
        yield appliance
        appliance.close()
