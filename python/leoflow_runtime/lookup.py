"""Looks entries up for programs: in the volume, and else in the environment."""

from __future__ import annotations

import os

from . import dump, volume
from .connection import Connection
from .error import Missing, NotAsked, Refused
from .verdict import CONNECTION, MISSING, NOT_MOUNTED, VARIABLE, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PREFIX = {CONNECTION: "AIRFLOW_CONN_", VARIABLE: "AIRFLOW_VAR_"}


class _Unset:
    """No default was given, which None would be."""


UNSET: Final = _Unset()


def get_connection(conn_id: str, directory: str | None = None) -> Connection:
    """The connection as it stands now; each call returns one of its own.

    The volume's word on an id that the pod asked for is final. Any other id is taken from the
    environment's AIRFLOW_CONN_…. Raises Refused, NotAsked or Missing.
    """
    try:
        return _connection(volume.at(directory), conn_id)
    except (Refused, Missing) as error:
        # Without the frames below, whose variables some loggers print: a broken connection's text is one.
        raise error.with_traceback(None) from None


def _connection(where: volume.Volume, conn_id: str) -> Connection:
    state, value, generation = find(where, CONNECTION, conn_id)
    if value is None or generation is None:
        return _parse(_from_environment(where, CONNECTION, conn_id, state), conn_id, "environment")
    parsed = generation.parsed.get(conn_id)
    if parsed is None:
        parsed = generation.parsed[conn_id] = _parse(value, conn_id, "volume")
    return parsed.copy()


async def aget_connection(conn_id: str, directory: str | None = None) -> Connection:
    """The same in a coroutine; reading a tmpfs waits for nothing."""
    return get_connection(conn_id, directory)


def get_variable(key: str, default: str | _Unset | None = UNSET, directory: str | None = None) -> str | None:
    """The variable's text. A default replaces one that is missing, and never one that is refused."""
    where = volume.at(directory)
    state, value, _ = find(where, VARIABLE, key)
    if value is not None:
        return value
    try:
        return _from_environment(where, VARIABLE, key, state)
    except (Missing, NotAsked):
        if isinstance(default, _Unset):
            raise
        return default


def _parse(text: str, conn_id: str, origin: str) -> Connection:
    try:
        connection = Connection.parse(text, conn_id)
    except ValueError as error:
        raise Refused(f'connection "{conn_id}" of the {origin} is broken: {error}', "invalid") from None
    connection.origin = origin
    return connection


def _from_environment(where: volume.Volume, kind: str, name: str, state: str) -> str:
    variable = _PREFIX[kind] + name.upper()
    value = os.environ.get(variable)
    if value:
        dump.forbid()
        return value
    if state == NOT_MOUNTED:
        raise Missing(f'{kind} "{name}": no volume is mounted at {where.directory}, and {variable} is not set')
    if state == MISSING:
        raise Missing(f'{kind} "{name}" is missing: its source does not have it')
    raise NotAsked(f'{kind} "{name}" is not in the volume {where.directory}: list it under {kind}s, in the pod\'s volumeAttributes')
