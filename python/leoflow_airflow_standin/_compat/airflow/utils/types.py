"""Arguments that were not given."""

from leoflow_airflow_standin.piece import NOTSET, ArgNotSet

__all__ = [
    "NOTSET",
    "ArgNotSet",
]
