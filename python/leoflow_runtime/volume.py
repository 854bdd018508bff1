"""Reads a volume: which generation it shows, what stands in that one, and the values.

A volume holds directories, one a generation, and the link "..data" names the present one. The
driver replaces that link in one rename and deletes the old directory. So:

1. the text of the link is the generation's identity: one readlink tells whether what is remembered
   still holds;
2. whoever finds a file gone looks at the link again, and starts over if it has changed;
3. of entries that are not delivered only the manifest speaks, and it is replaced within a
   generation too, so its identity is compared as well.

Nothing stays open between two look-ups and no lock is held, so a fork inherits nothing but memory.
"""

from __future__ import annotations

import os
import stat

from . import dump
from .error import Unreadable
from .manifest import Entry, Manifest, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .connection import Connection

DEFAULT_DIRECTORY = "/var/run/leoflow/secrets"

# Nothing in a volume can exhaust a reader's memory; the driver stays far below.
_MAX_MANIFEST = 4 << 20
_MAX_VALUE = 4 << 20

# How often a generation may be replaced under a reader's hands.
_ATTEMPTS = 1000

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Generation:
    """What the volume shows at present, as far as it was read."""

    __slots__ = ("looked_at", "manifest", "parsed", "stamp", "target", "values")

    def __init__(self, target: str, stamp: tuple[int, ...], manifest: Manifest) -> None:
        self.target = target
        self.stamp = stamp
        self.manifest = manifest
        self.values: dict[tuple[str, str], str] = {}
        # Connections as they were parsed, for lookup, which hands out copies.
        self.parsed: dict[str, Connection] = {}
        # The process that was last told how old this is.
        self.looked_at = 0

    def confirmed(self) -> float:
        """When the driver last confirmed the content, in seconds since 1970; its manifest's own time."""
        return self.stamp[2] / 1e9


class Volume:
    """The volume at a directory. Any number of threads may use it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._link = directory + "/..data"
        self._shown: Generation | None = None

    def current(self) -> Generation | None:
        """The present generation; None where no volume is mounted, Unreadable where one is and fails."""
        try:
            target = os.readlink(self._link)
        except OSError as error:
            self._not_there(error)
            return None
        shown = self._shown
        if shown is not None and shown.target == target:
            return shown
        return self._load(target)

    def look_up(self, kind: str, name: str) -> tuple[Entry | None, str | None, Generation | None]:
        """The entry's line, its value if it is delivered, and the generation of both."""
        key = (kind, name)
        for _ in range(_ATTEMPTS):
            generation = self.current()
            if generation is None:
                return None, None, None
            entry = generation.manifest.entries.get(key)
            if entry is None or entry.state != "delivered":
                fresh = self._reread(generation)
                if fresh is generation:
                    return entry, None, generation
                continue
            value = generation.values.get(key)
            if value is not None:
                return entry, value, generation
            dump.forbid()
            try:
                value = _read(self.directory, generation.target, entry.file, _MAX_VALUE)[0].decode("utf-8", "surrogateescape")
            except OSError as error:
                self._failed(error, generation.target)
                continue
            generation.values[key] = value
            return entry, value, generation
        raise Unreadable(f"the volume {self.directory} was replaced {_ATTEMPTS} times while it was read")

    def _load(self, target: str) -> Generation:
        for _ in range(_ATTEMPTS):
            if "/" in target or target in ("", ".", ".."):
                raise Unreadable(f"{self._link} leads out of the volume")
            try:
                text, stamp = _read(self.directory, target, "manifest.json", _MAX_MANIFEST)
            except OSError as error:
                target = self._failed(error, target)
                continue
            try:
                manifest = parse(text)
            except ValueError as error:
                raise Unreadable(f"the manifest of the volume {self.directory} is unusable: {error}") from None
            generation = Generation(target, stamp, manifest)
            self._shown = generation
            return generation
        raise Unreadable(f"the volume {self.directory} was replaced {_ATTEMPTS} times while it was read")

    def _reread(self, generation: Generation) -> Generation:
        """The same generation while its manifest is the one that was read."""
        try:
            now = os.stat(f"{self.directory}/{generation.target}/manifest.json", follow_symlinks=False)
        except OSError as error:
            return self._load(self._failed(error, generation.target))
        return generation if _stamp(now) == generation.stamp else self._load(generation.target)

    def _failed(self, error: OSError, target: str) -> str:
        """What the link names now, where the generation was replaced; otherwise raises."""
        if isinstance(error, FileNotFoundError):
            try:
                now = os.readlink(self._link)
            except OSError as gone:
                raise self._unreadable(gone) from None
            if now != target:
                return now
        raise self._unreadable(error) from None

    def _not_there(self, error: OSError) -> None:
        """Returns where nothing is mounted and nothing ever was; a volume that went away is no absence."""
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and self._shown is None:
            try:
                os.stat(self.directory)
            except FileNotFoundError:
                return
            except OSError as other:
                raise self._unreadable(other) from None
        raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> Unreadable:
        if isinstance(error, PermissionError):
            return Unreadable(
                f"the volume {self.directory} cannot be read by uid {os.getuid()}: the files belong to the pod's group: "
                "set securityContext.fsGroup, or the volume's attribute mode"
            )
        if isinstance(error, FileNotFoundError):
            where = str(error.filename)
            if where == self._link:
                return Unreadable(f"{self.directory} has no ..data: is it a Leoflow volume, and mounted without subPath?")
            return Unreadable(f"the volume {self.directory} lacks {where}, which its manifest promises")
        return Unreadable(f"the volume {self.directory} cannot be read: {error.strerror or error}")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(directory: str, target: str, path: str, limit: int) -> tuple[bytes, tuple[int, ...]]:
    """What is in a regular file. No link is followed below the volume, so nothing leads out of it."""
    opened: list[int] = []
    try:
        opened.append(os.open(f"{directory}/{target}", os.O_RDONLY | os.O_DIRECTORY | _FLAGS))
        parent, _, name = path.rpartition("/")
        if parent:
            opened.append(os.open(parent, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=opened[-1]))
        opened.append(os.open(name, os.O_RDONLY | _FLAGS, dir_fd=opened[-1]))
        status = os.fstat(opened[-1])
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, f"{path} is not a regular file")
        if status.st_size > limit:
            raise OSError(None, f"{path} holds {status.st_size} bytes, more than a reader accepts")
        return _read_all(opened[-1], status.st_size, path), _stamp(status)
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _read_all(descriptor: int, size: int, path: str) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        part = os.read(descriptor, size)
        if not part:
            raise OSError(None, f"{path} ends before its size")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


_volumes: dict[str, Volume] = {}


def at(directory: str | None = None) -> Volume:
    """The volume at a directory, or where LEOFLOW_DIR says; the same object each time."""
    where = directory or os.environ.get("LEOFLOW_DIR") or DEFAULT_DIRECTORY
    volume = _volumes.get(where)
    if volume is None:
        volume = _volumes.setdefault(where, Volume(where))
    return volume
