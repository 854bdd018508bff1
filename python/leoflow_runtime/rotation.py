"""Tells a program of rotations.

A volume has no memory of who looks: whoever wants to be told compares the manifest of now with the
one before. The link's text is looked at once an interval, which costs about a microsecond.
"""

from __future__ import annotations

from . import volume
from .error import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event, Thread

    Names = frozenset[tuple[str, str]]
    Versions = dict[tuple[str, str], str]


class Watch:
    """One who is told. Threads do not survive a fork: a child that wants to be told asks anew."""

    def __init__(self, stopped: Event, thread: Thread) -> None:
        self._stopped = stopped
        self._thread = thread

    def stop(self) -> None:
        """Returns once nothing is told any more; from within the callback, at once."""
        import threading

        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()


def on_rotation(callback: Callable[[Names], object], interval: float = 1.0, directory: str | None = None) -> Watch:
    """Calls back in a thread of its own with what changed, came or was withdrawn: ("connection", id) and so on.

    An exception in the callback is logged, and does not end the watch.
    """
    import threading

    stopped = threading.Event()
    where = volume.at(directory)
    before = _versions(where, {})

    def run() -> None:
        known = before
        while not stopped.wait(interval):
            now = _versions(where, known)
            names = frozenset(name for name in known.keys() | now.keys() if known.get(name) != now.get(name))
            known = now
            if names:
                _call(callback, names)

    thread = threading.Thread(target=run, name="leoflow-rotation", daemon=True)
    thread.start()
    return Watch(stopped, thread)


def _versions(where: volume.Volume, known: Versions) -> Versions:
    """The versions of what is delivered. A volume that cannot be read changes nothing: its look-ups fail by themselves."""
    try:
        generation = where.current()
    except Unreadable:
        return known
    if generation is None:
        return known
    return {name: entry.version for name, entry in generation.manifest.entries.items() if entry.state == "delivered"}


def _call(callback: Callable[[Names], object], names: Names) -> None:
    try:
        callback(names)
    except Exception:
        import logging

        logging.getLogger("leoflow_runtime").exception("a callback for rotations failed")
