"""Texts."""

from leoflow_airflow_standin.piece import to_boolean

__all__ = [
    "to_boolean",
]
