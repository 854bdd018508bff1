"""Logging."""

from leoflow_airflow_standin.lookup import LoggingMixin

__all__ = [
    "LoggingMixin",
]
