"""Hooks."""

from leoflow_airflow_standin.lookup import BaseHook

__all__ = [
    "BaseHook",
]
