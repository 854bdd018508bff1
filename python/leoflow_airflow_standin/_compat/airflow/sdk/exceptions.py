"""Exceptions, the same as under the name of Airflow 2."""

from leoflow_airflow_standin.error import *  # noqa: F403
