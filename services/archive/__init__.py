"""The archive over HTTP: ingest, query, state."""
