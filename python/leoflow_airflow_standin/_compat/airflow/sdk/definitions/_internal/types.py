"""Arguments that were not given."""

from leoflow_airflow_standin.piece import NOTSET, ArgNotSet, is_arg_set

__all__ = [
    "NOTSET",
    "ArgNotSet",
    "is_arg_set",
]
