"""What the installed provider packages say of their hooks."""

from __future__ import annotations

from typing import NamedTuple

from .error import AirflowException
from .piece import import_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_GROUP = "apache_airflow_provider"


def _told(kind: str) -> Iterator[dict[str, Any]]:
    """What all packages tell of a kind."""
    from importlib import metadata

    found: Any = metadata.entry_points()
    # Before Python 3.10 it is a dict by group.
    points: Any = found.select(group=_GROUP) if hasattr(found, "select") else found.get(_GROUP, ())
    for point in points:
        yield from point.load()().get(kind, ())


def hook_class(conn_type: str) -> tuple[Any, str]:
    """The class, and the argument that takes the connection's id."""
    for each in _told("connection-types"):
        if each["connection-type"] == conn_type:
            made = import_string(each["hook-class-name"])
            return made, made.conn_name_attr
    raise AirflowException(f'no installed provider has a hook for connections of type "{conn_type}"')


class HookInfo(NamedTuple):
    """A hook, as a providers manager tells of it."""

    hook_class_name: str
    connection_type: str


class DialectInfo(NamedTuple):
    """A dialect of SQL, as a providers manager tells of it."""

    name: str
    dialect_class_name: str


class ProvidersManager:
    """Airflow's registry of what providers bring, as far as hooks ask it."""

    @property
    def hooks(self) -> dict[str, HookInfo]:
        """The hooks by type of connection."""
        return {each["connection-type"]: HookInfo(each["hook-class-name"], each["connection-type"]) for each in _told("connection-types")}

    @property
    def dialects(self) -> dict[str, DialectInfo]:
        """SQL dialects by name."""
        return {each["dialect-type"]: DialectInfo(each["dialect-type"], each["dialect-class-name"]) for each in _told("dialects")}

    def initialize_providers_list(self) -> None:
        """Nothing: it is read when it is asked."""

    initialize_providers_hooks = initialize_providers_list
