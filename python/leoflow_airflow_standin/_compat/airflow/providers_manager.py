"""What providers bring."""

from leoflow_airflow_standin.provider import ProvidersManager

__all__ = [
    "ProvidersManager",
]
