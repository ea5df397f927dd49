"""The parts of `archiver.testing.backend_contract.BackendContract`, by what they ask."""
