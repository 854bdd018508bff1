"""Airflow's exceptions, as far as hooks raise and catch them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


class AirflowException(Exception):
    """What hooks raise."""

    status_code = 500


class AirflowBadRequest(AirflowException):
    """A call with wrong arguments."""

    status_code = 400


class AirflowNotFoundException(AirflowException):
    """Nobody has the connection."""

    status_code = 404


class AirflowConfigException(AirflowException):
    """A setting that is not there."""


class AirflowFailException(AirflowException):
    """A task fails without retries."""


class AirflowSkipException(AirflowException):
    """A task is skipped."""


class AirflowTaskTimeout(BaseException):
    """A task takes too long."""


class AirflowOptionalProviderFeatureException(AirflowException):
    """A provider lacks a package for one of its features."""


class AirflowRuntimeError(Exception):
    """What the supervisor of a task answers; there is none here."""


class TaskDeferred(BaseException):
    """A task hands over to a trigger; there is none here."""

    def __init__(self, **_: Any) -> None:
        super().__init__("nothing can be deferred: there is no Airflow here")


class AirflowProviderDeprecationWarning(DeprecationWarning):
    """A provider's own deprecations."""


class RemovedInAirflow3Warning(DeprecationWarning):
    """A deprecation of Airflow 2."""
