"""Alarms after ANSI/ISA-18.2, IEC 62682 and OPC UA Part 9: their life as a pure step, floods, and statistics.

What the states mean: ``docs/explanation/alarms.md``.
"""
