"""Models."""

from leoflow_airflow_standin.lookup import Connection, Variable
from leoflow_airflow_standin.piece import absent

BaseOperator = absent("BaseOperator")

__all__ = [
    "BaseOperator",
    "Connection",
    "Variable",
]
