"""Modules."""

from leoflow_airflow_standin.piece import import_string, iter_namespace, qualname

__all__ = [
    "import_string",
    "iter_namespace",
    "qualname",
]
