"""Measurements beside their baselines: `python -m bench` runs them and prints one table."""
