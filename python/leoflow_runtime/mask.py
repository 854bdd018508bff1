"""Gives values to Airflow's masker before anything can print them."""

from __future__ import annotations

import json
import os

from .upstream import take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Airflow masks nothing shorter, and says so in the log each time.
_SHORTEST = 5

_masked: set[tuple[int, int]] = set()


def mask(value: str) -> None:
    """Masks a value, and the texts in it where it is JSON, once a process.

    Of connections Airflow masks password and extra itself, of variables only those whose key sounds
    like a secret.
    """
    mark = os.getpid(), hash(value)
    if mark in _masked:
        return
    masker = _masker()
    for part in (value, *_texts(value)):
        if len(part) >= _SHORTEST:
            masker(part)
    # Only now: another thread that finds the mark hands the value out, and a signal may have ended this.
    _masked.add(mark)


def _texts(value: str) -> Iterator[str]:
    """The texts that stand in a JSON object or list."""
    if value.lstrip()[:1] not in ("{", "["):
        return
    try:
        waiting = [json.loads(value)]
    except (ValueError, RecursionError):
        return
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting.extend(part.values())  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
        elif isinstance(part, list):
            waiting.extend(part)  # pyright: ignore[reportUnknownArgumentType]


def _masker() -> Callable[[str], None]:
    """The masker of this version of Airflow, the newest place first."""
    try:
        found: Callable[[str], None] = take("airflow.sdk.log", "mask_secret")
    except ImportError:
        found = take("airflow.utils.log.secrets_masker", "mask_secret")
    return found
