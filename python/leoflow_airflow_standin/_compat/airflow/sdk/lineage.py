"""Lineage, which nobody collects."""

from leoflow_airflow_standin.piece import get_hook_lineage_collector

__all__ = [
    "get_hook_lineage_collector",
]
