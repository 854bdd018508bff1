"""Says in the task's own log, once a task, what its reader should know. No notice holds a value.

Airflow rebuilds backends, before 3.3 at each look-up, and a task is a fork of its supervisor, which
may have looked something up before. So what was said is remembered for the process, by its id.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .manifest import Entry
    from .volume import Generation

LOGGER = "leoflow_runtime"

# Notices that concern environments and files, not the one who looks the entry up here.
_OF_OTHERS = ("delivered-as-json", "too-long-for-env", "extra-is-text")

_said: set[tuple[int, str]] = set()


def once(key: str, message: str) -> None:
    """Warns, unless this process has already warned of the key."""
    mark = os.getpid(), key
    if mark in _said:
        return
    _said.add(mark)
    import logging

    logging.getLogger(LOGGER).warning("%s", message)


def not_mounted(directory: str) -> None:
    """Says that nothing is mounted, so that other places are asked."""
    once(f"mount {directory}", f"no Leoflow volume is mounted at {directory}: other places are asked for connections and variables")


def tell(directory: str, entry: Entry, generation: Generation) -> None:
    """Says what the manifest remarks on a delivered entry, and that the volume is old."""
    if entry.notices or entry.held is not None:
        subject = f'{entry.kind} "{entry.name}"'
        if entry.held is not None:
            once(f"{subject} held", f"{subject} is what was delivered before: {entry.held}")
        for each in entry.notices:
            if each.code not in _OF_OTHERS:
                once(f"{subject} {each.code}", f"{subject}: {each.message} ({each.code})")
    mark = os.getpid()
    if generation.looked_at != mark:
        generation.looked_at = mark
        _tell_age(directory, generation)


def _tell_age(directory: str, generation: Generation) -> None:
    import time

    age = int(time.time() - generation.confirmed())
    if 0 < generation.manifest.stale_after < age:
        once(f"stale {directory}", f"the volume {directory} was last confirmed {age} s ago: what was rotated or withdrawn since is not known here")
