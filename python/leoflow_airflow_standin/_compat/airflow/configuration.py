"""Settings."""

from leoflow_airflow_standin.piece import conf

__all__ = [
    "conf",
]
