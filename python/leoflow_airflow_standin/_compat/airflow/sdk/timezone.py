"""Time."""

from leoflow_airflow_standin.piece import is_localized, make_aware, parse, utc, utcnow

__all__ = [
    "is_localized",
    "make_aware",
    "parse",
    "utc",
    "utcnow",
]
