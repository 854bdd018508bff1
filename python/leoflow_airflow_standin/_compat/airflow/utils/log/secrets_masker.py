"""Masking, which takes a supervisor."""

from leoflow_airflow_standin.piece import mask_secret, redact

__all__ = [
    "mask_secret",
    "redact",
]
