"""Lineage, which nobody collects."""
