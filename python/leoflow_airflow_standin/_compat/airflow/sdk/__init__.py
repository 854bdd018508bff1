"""The task's side of Airflow 3, as far as hooks take it."""

from leoflow_airflow_standin.lookup import BaseHook, Connection, Variable
from leoflow_airflow_standin.piece import absent

BaseNotifier = absent("BaseNotifier")
BaseOperator = absent("BaseOperator")
BaseOperatorLink = absent("BaseOperatorLink")
BaseSensorOperator = absent("BaseSensorOperator")

__all__ = [
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Variable",
]
