"""How long tests wait."""

SOON_S = 300.0
"""Longest wait, in seconds, for what comes at once where nothing else is to be done; a busy machine may hold up a
process for many seconds, so only a test that waits in vain waits so long."""
