"""The ways to tell somebody that are built in, each behind an entry point of its own."""
