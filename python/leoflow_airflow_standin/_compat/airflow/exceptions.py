"""Exceptions."""

from leoflow_airflow_standin.error import *  # noqa: F403
