"""Connections."""

from leoflow_airflow_standin.lookup import Connection

__all__ = [
    "Connection",
]
