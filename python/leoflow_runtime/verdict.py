"""What a look-up in a volume comes to."""

from __future__ import annotations

from . import notice
from .error import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .volume import Generation, Volume

CONNECTION = "connection"
VARIABLE = "variable"

# How a look-up ends that brings no value, and leaves it to the caller what is next.
MISSING = "missing"
NOT_LISTED = "not listed"
NOT_MOUNTED = "not mounted"


def find(volume: Volume, kind: str, name: str) -> tuple[str, str | None, Generation | None]:
    """The state of an entry, its value if that is "delivered", and the generation that says so.

    Raises Refused for denied, invalid and unavailable, and Unreadable where the volume cannot be
    read. What is remarkable about a delivered entry is said once in the task's log.
    """
    entry, value, generation = volume.look_up(kind, name)
    if generation is None:
        notice.not_mounted(volume.directory)
        return NOT_MOUNTED, None, None
    if entry is None:
        return NOT_LISTED, None, generation
    if value is not None:
        notice.tell(volume.directory, entry, generation)
        return "delivered", value, generation
    if entry.state == MISSING:
        return MISSING, None, generation
    reason = entry.reason()
    raise Refused(f'{kind} "{name}" is {entry.state} in the volume {volume.directory}' + (f": {reason}" if reason else ""), entry.state)
