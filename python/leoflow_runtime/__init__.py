"""The task's side of Leoflow's secrets, without and with Airflow.

The driver has delivered connections and variables into a volume of the pod. This package looks
them up there at each call, so that a rotated value is seen and a withdrawn one is refused:

    from leoflow_runtime import get_connection, get_variable
    warehouse = get_connection("warehouse")
    region = get_variable("region", default="eu")

A final no is a Refused: denied, invalid, withdrawn, or a volume that cannot be read. No default and
no other place replaces it. What nobody has is Missing.
"""

from .connection import Connection
from .error import Missing, NotAsked, Refused, Unreadable
from .lookup import aget_connection, get_connection, get_variable
from .rotation import Watch, on_rotation

__all__ = [
    "Connection",
    "Missing",
    "NotAsked",
    "Refused",
    "Unreadable",
    "Watch",
    "aget_connection",
    "get_connection",
    "get_variable",
    "on_rotation",
]
