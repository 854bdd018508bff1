"""Why an entry cannot be had. No message holds a value."""

from __future__ import annotations


class Refused(PermissionError):
    """A final no: no other place may be asked, and no default replaces it.

    It is never an AirflowNotFoundException, which S3Hook takes for leave to use whatever identity
    lies around.
    """

    def __init__(self, message: str, state: str = "denied") -> None:
        super().__init__(message)
        self.state = state


class Unreadable(Refused):
    """A volume is mounted, and cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "unreadable")


class NotAsked(Refused):
    """A volume is mounted, and the pod did not ask for this entry."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "not asked")


class Missing(LookupError):
    """Nobody has the entry."""
