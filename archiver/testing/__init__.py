"""What a third-party backend, journal or source is tested with: contract suites, strategies, faulty and slow wrappers.

Needs ``pip install 'forebay[testing]'``. Subclass `backend_contract.BackendContract`,
`journal_contract.JournalContract` or `source_contract.SourceContract`, and give it one fixture, `harness`.
"""
