"""Compares two backends and repairs one from the other: a shadow backend is trusted when both are the same."""

from archiver.pipeline.verification.report import Report
from archiver.pipeline.verification.scopes import Side
from archiver.pipeline.verification.verify import Plan, Repair, verify

__all__ = ["Plan", "Repair", "Report", "Side", "verify"]
