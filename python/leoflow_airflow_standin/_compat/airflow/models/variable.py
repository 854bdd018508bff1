"""Variables."""

from leoflow_airflow_standin.lookup import Variable

__all__ = [
    "Variable",
]
