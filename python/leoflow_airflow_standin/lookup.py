"""Look-ups, as hooks and tasks make them."""

from __future__ import annotations

import json
import logging

import leoflow_runtime
from leoflow_runtime import Connection as VolumeConnection
from leoflow_runtime.lookup import UNSET

from .error import AirflowException, AirflowNotFoundException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LoggingMixin:
    """Gives a class a logger of its own name."""

    _log: logging.Logger | None = None

    def __init__(self, context: Any = None) -> None:
        super().__init__()

    @property
    def log(self) -> logging.Logger:
        """The class's logger."""
        if self._log is None:
            self._log = logging.getLogger(f"{type(self).__module__}.{type(self).__name__}")
        return self._log

    @property
    def logger(self) -> logging.Logger:
        """The same, as newer hooks call it."""
        return self.log


class Connection(VolumeConnection):
    """A connection, with what hooks ask of Airflow's."""

    @classmethod
    def get(cls, conn_id: str) -> Connection:
        """The connection as it stands now. Only one that nobody has is an AirflowNotFoundException."""
        try:
            found = leoflow_runtime.get_connection(conn_id)
        except leoflow_runtime.Missing as error:
            raise AirflowNotFoundException(str(error)) from None
        made = cls(conn_id)
        made.__dict__.update(found.__dict__)
        return made

    @classmethod
    def get_connection_from_secrets(cls, conn_id: str) -> Connection:
        """The same, under the name of Airflow 2."""
        return cls.get(conn_id)

    def get_hook(self, *, hook_params: dict[str, Any] | None = None) -> Any:
        """The hook of the connection's type, as the installed provider packages tell."""
        from .provider import hook_class

        made, attribute = hook_class(self.conn_type or "")
        return made(**{attribute: self.conn_id}, **(hook_params or {}))


class BaseHook(LoggingMixin):
    """What every hook is derived from."""

    def __init__(self, logger_name: str | None = None) -> None:
        super().__init__()
        if logger_name:
            self._log = logging.getLogger(logger_name)

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection as it stands now."""
        return Connection.get(conn_id)

    @classmethod
    async def aget_connection(cls, conn_id: str) -> Connection:
        """The same in a coroutine."""
        return Connection.get(conn_id)

    @classmethod
    def get_hook(cls, conn_id: str, hook_params: dict[str, Any] | None = None) -> Any:
        """The hook of a connection."""
        return cls.get_connection(conn_id).get_hook(hook_params=hook_params)

    def get_conn(self) -> Any:
        """What a hook is for."""
        raise NotImplementedError

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Nothing: there is no form."""
        return {}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Nothing: there is no form."""
        return {}


class Variable:
    """Variables, for reading."""

    @staticmethod
    def get(key: str, default: Any = UNSET, deserialize_json: bool = False, default_var: Any = UNSET) -> Any:
        """The variable, or the default where nobody has it; both spellings of the default are read."""
        given = default if default is not UNSET else default_var
        try:
            text = leoflow_runtime.get_variable(key)
        except (leoflow_runtime.Missing, leoflow_runtime.NotAsked) as error:
            if given is not UNSET:
                return given
            raise KeyError(str(error)) from None
        return json.loads(text or "null") if deserialize_json else text

    @staticmethod
    def set(key: str, *_: Any, **__: Any) -> None:
        """Not here."""
        raise AirflowException(f'variable "{key}" cannot be set: there is no Airflow here, and a volume is read-only')
