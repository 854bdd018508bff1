"""Environments."""

from leoflow_airflow_standin.piece import patch_environ

__all__ = [
    "patch_environ",
]
