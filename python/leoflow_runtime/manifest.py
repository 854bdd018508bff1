"""What a volume says of itself. A manifest holds no values."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The newest schema that this code reads.
SCHEMA = 1

_DIRECTORIES = ("connections", "variables", "airflow")


class Notice:
    """A remark on an entry, by a code that does not change."""

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message


class Entry:
    """The manifest's line on one entry that the pod asked for."""

    __slots__ = ("file", "grade", "held", "kind", "name", "notices", "state", "version")

    def __init__(self, line: dict[str, Any]) -> None:
        self.kind = _text(line, "kind")
        self.name = _text(line, "id")
        self.state = _text(line, "state")
        self.file = _text(line, "file")
        self.version = _text(line, "version")
        self.held = _text(_object(line.get("held"), "held"), "why") if line.get("held") is not None else None
        self.grade = _text(_object(line.get("grade"), "grade"), "state") if line.get("grade") is not None else None
        listed = (_object(each, "one of notices") for each in _list(line, "notices"))
        self.notices = tuple(Notice(_text(each, "code"), _text(each, "message")) for each in listed)
        if self.state == "delivered" and not _is_value_path(self.file):
            raise ValueError(f'{self.kind} "{self.name}" names a file that is none of a volume')
        if self.state != "delivered" and self.file:
            raise ValueError(f'{self.kind} "{self.name}" is {self.state}, yet names a file')

    def reason(self) -> str:
        """Why the entry is not delivered; may be empty."""
        return next((notice.message for notice in self.notices if notice.code == self.state), "")


class Manifest:
    """All lines of a generation."""

    __slots__ = ("entries", "number", "stale_after")

    def __init__(self, number: int, stale_after: int, entries: dict[tuple[str, str], Entry]) -> None:
        self.number = number
        self.stale_after = stale_after
        self.entries = entries


def parse(text: bytes) -> Manifest:
    """The manifest of a file's text. Raises ValueError, which says what is wrong with it."""
    try:
        members = _object(json.loads(text), "the manifest")
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("it is not JSON") from None
    schema = _count(members, "schema")
    if schema < 1:
        raise ValueError("it states no schema")
    if schema > SCHEMA:
        raise ValueError(f"schema {schema} is newer than {SCHEMA}, the newest that this leoflow_runtime reads: upgrade it")
    entries: dict[tuple[str, str], Entry] = {}
    for each in _list(members, "entries"):
        entry = Entry(_object(each, "one of entries"))
        entries[entry.kind, entry.name] = entry
    return Manifest(_count(members, "generation"), _count(members, "stale_after"), entries)


def _is_value_path(path: str) -> bool:
    directory, slash, name = path.partition("/")
    return slash == "/" and directory in _DIRECTORIES and name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return value  # pyright: ignore[reportUnknownVariableType]


def _list(members: dict[str, Any], name: str) -> list[Any]:
    value = members.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value  # pyright: ignore[reportUnknownVariableType]


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _count(members: dict[str, Any], name: str) -> int:
    value = members.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is not a count")
    return value
