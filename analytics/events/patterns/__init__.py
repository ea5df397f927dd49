"""Patterns in time: one thing after another, one that does not follow, and one that happens too often."""
