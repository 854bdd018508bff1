"""A connection while its credential is being read."""

from __future__ import annotations

import re
from functools import wraps
from importlib import import_module

from ..error import Missing, Refused
from ..lookup import get_connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    Made = TypeVar("Made", bound=Callable[..., Any])

_LOOKS_LIKE_A_CREDENTIAL = re.compile(r"key|secret|token|passw|credential|cert|assertion|sas|principal|identity", re.IGNORECASE)

# What names a secret that has to be fetched. The driver resolves them and takes them out.
_REFERENCES = ("key_secret_name", "key_secret_project_id", "key_secret_region", "key_secret_role_arn", "key_secret_version", "key_vault_url")


class Draft:
    """The fields of a connection of one cloud."""

    def __init__(self, conn_id: str, directory: str | None, types: tuple[str, ...], prefix: str, known: Iterable[str]) -> None:
        self.connection = get_connection(conn_id, directory)
        self._id = conn_id
        self._prefix = prefix
        extra = self.connection.extra_dejson
        if not isinstance(extra, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self.refuse("extra", "is no JSON object")
        self.extra = extra
        if self.connection.conn_type not in types:
            raise self.refuse("conn_type", f"is {self.connection.conn_type}, and {' or '.join(types)} is read here")
        names = {*known, *_REFERENCES}
        for name, value in extra.items():
            if short(name, prefix) in names or not value or not _LOOKS_LIKE_A_CREDENTIAL.search(name):
                continue
            raise self.refuse(f"extra.{name}", "looks like a credential, and this version knows no such field: no other identity is used in its place")

    def get(self, name: str) -> Any:
        """A field by its short name, or the legacy one; what is empty is not there."""
        return self.extra.get(name) or (self.extra.get(self._prefix + name) if self._prefix else None) or None

    def text(self, name: str) -> str | None:
        """A field that has to be text."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise self.refuse(f"extra.{name}", "is not text")
        return value

    def rest(self, known: Iterable[str]) -> dict[str, Any]:
        """The fields that are nobody's."""
        names = {*known, *_REFERENCES}
        return {name: value for name, value in self.extra.items() if short(name, self._prefix) not in names}

    def has_reference(self) -> bool:
        """Tells whether a secret is to be fetched. In a connection of the volume none is left."""
        if not self.get("key_secret_name"):
            return False
        if self.connection.origin == "volume":
            raise self.refuse("extra.key_secret_name", "is a reference that the node has not resolved")
        return True

    def refuse(self, field: str, why: str) -> Refused:
        """Says what is wrong with which field of which connection, and where that is from; never a value."""
        state = "delivered into the volume" if self.connection.origin == "volume" else f"taken from the {self.connection.origin}"
        return Refused(f'connection "{self._id}", {state}: {field} {why} (docs/connections.md has the rules)', "invalid")


def short(name: str, prefix: str) -> str:
    """A field's name without the prefix of its type."""
    return name[len(prefix) :] if prefix and name.startswith(prefix) else name


def without_frames(make: Made) -> Made:
    """Lets what is refused leave a function without the frames below it, whose variables some loggers print."""

    @wraps(make)
    def made(*arguments: Any, **named: Any) -> Any:
        try:
            return make(*arguments, **named)
        except (Refused, Missing, ImportError) as error:
            raise error.with_traceback(None) from None

    return made  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def sdk(module: str, package: str) -> Any:
    """A module of a cloud's SDK. Raises ImportError, which names what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} cannot be imported: pip install {package} ({error})") from None
