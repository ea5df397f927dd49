"""What a third-party backend, journal or source is tested with: contract suites, strategies, faulty and slow wrappers.

Needs pytest and hypothesis. Subclass `backend_contract.BackendContract` and give it one fixture, `harness`.
"""
