"""The archiver: from a source to disk to a query, losing nothing."""
