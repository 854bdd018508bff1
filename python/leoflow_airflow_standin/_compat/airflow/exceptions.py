"""Exceptions."""

from leoflow_airflow_standin.error import (
    AirflowBadRequest,
    AirflowConfigException,
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowOptionalProviderFeatureException,
    AirflowProviderDeprecationWarning,
    AirflowRuntimeError,
    AirflowSkipException,
    AirflowTaskTimeout,
    RemovedInAirflow3Warning,
    TaskDeferred,
)

__all__ = [
    "AirflowBadRequest",
    "AirflowConfigException",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowOptionalProviderFeatureException",
    "AirflowProviderDeprecationWarning",
    "AirflowRuntimeError",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "RemovedInAirflow3Warning",
    "TaskDeferred",
]
