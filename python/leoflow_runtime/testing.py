"""Makes volumes for tests, as the driver lays them out. Not for anything but tests."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class FakeVolume:
    """A volume in a directory. Each change shows a new generation, in one step."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.number = 0
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}
        self._values: dict[tuple[str, str], bytes] = {}
        os.makedirs(directory, exist_ok=True)
        self.show()

    def connection(self, conn_id: str, value: str | Mapping[str, Any], **line: Any) -> None:
        """Delivers a connection: a URI, or fields."""
        self._deliver("connection", conn_id, value if isinstance(value, str) else json.dumps(value), line)

    def variable(self, key: str, value: str, **line: Any) -> None:
        """Delivers a variable."""
        self._deliver("variable", key, value, line)

    def refuse(self, kind: str, name: str, state: str = "denied", why: str = "no rule lets this caller read it") -> None:
        """Lists an entry that is denied, invalid, missing or unavailable, and withdraws it if it was delivered."""
        self._values.pop((kind, name), None)
        self._lines[kind, name] = {"kind": kind, "id": name, "state": state, "notices": [{"code": state, "message": why}]}
        self.show()

    def forget(self, kind: str, name: str) -> None:
        """Takes an entry out, as if the pod had not asked for it."""
        self._values.pop((kind, name), None)
        self._lines.pop((kind, name), None)
        self.show()

    def show(self) -> None:
        """Writes a generation beside the present one, shows it, and deletes the other."""
        self.number += 1
        name, link = f"..{self.number}", os.path.join(self.directory, "..data")
        for directory in ("connections", "variables", "airflow"):
            os.makedirs(os.path.join(self.directory, name, directory))
        for key, value in self._values.items():
            _write(os.path.join(self.directory, name, self._lines[key]["file"]), value)
        _write(os.path.join(self.directory, name, "manifest.json"), self.manifest())
        before = os.readlink(link) if os.path.islink(link) else None
        os.symlink(name, link + "_tmp")
        os.rename(link + "_tmp", link)
        if before is not None:
            _delete(os.path.join(self.directory, before))

    def manifest(self) -> bytes:
        """The manifest's text."""
        content = {"schema": 1, "generation": self.number, "stale_after": 900, "entries": list(self._lines.values())}
        return json.dumps(content).encode()

    def _deliver(self, kind: str, name: str, value: str, line: dict[str, Any]) -> None:
        prefix = "AIRFLOW_CONN_" if kind == "connection" else "AIRFLOW_VAR_"
        known = {"kind": kind, "id": name, "state": "delivered", "env": prefix + name.upper(), "file": f"{kind}s/{_file_name(name)}"}
        self._lines[kind, name] = {**known, "version": f"v{self.number + 1}", **line}
        self._values[kind, name] = value.encode("utf-8", "surrogateescape")
        self.show()


def _file_name(name: str) -> str:
    encoded = name.replace("%", "%25").replace("/", "%2F")
    return "%2E" + encoded[1:] if encoded.startswith(".") else encoded


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _delete(directory: str) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
