"""Airflow's version, as providers are told it."""


from leoflow_airflow_standin import VERSION as version

__all__ = [
    "version",
]
