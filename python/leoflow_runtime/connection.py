"""A connection, read and written by the algorithm of Airflow's own class in its task SDK."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any
    from urllib.parse import SplitResult

_FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


class Connection:
    """A connection's fields. Printing one shows no value but its id."""

    EXTRA_KEY = "__extra__"

    def __init__(
        self,
        conn_id: str | None = None,
        conn_type: str | None = None,
        description: str | None = None,
        host: str | None = None,
        login: str | None = None,
        password: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        extra: str | Mapping[str, Any] | None = None,
        uri: str | None = None,
    ) -> None:
        self.conn_id = conn_id
        self.conn_type = conn_type
        self.description = description
        self.host = host
        self.login = login
        self.password = password
        self.schema = schema
        self.port = port
        self.extra = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
        # Where the connection came from: "volume", "environment", or "" where the program made it.
        self.origin = ""
        if uri is not None:
            if any(getattr(self, name) is not None for name in _FIELDS):
                raise ValueError("a connection is made of a URI, or of fields, not of both")
            self.__dict__.update(self.from_uri(uri, conn_id).__dict__)

    def __repr__(self) -> str:
        return f"<Connection {self.conn_id!r}>"

    def copy(self) -> Connection:
        """Another connection with the same fields, since hooks change theirs."""
        other = Connection.__new__(Connection)
        other.__dict__.update(self.__dict__)
        return other

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra as an object; an extra that is no JSON is an empty one."""
        try:
            return json.loads(self.extra) if self.extra else {}
        except (ValueError, RecursionError):
            return {}

    async def aextra_dejson(self) -> dict[str, Any]:
        """The same, for hooks that await it."""
        return self.extra_dejson

    def get_extra_dejson(self) -> dict[str, Any]:
        """The same, under the name of Airflow 2."""
        return self.extra_dejson

    def get_password(self) -> str | None:
        """The password, under the name of Airflow 2."""
        return self.password

    @classmethod
    def parse(cls, text: str, conn_id: str | None = None) -> Connection:
        """The connection of a value of AIRFLOW_CONN_…, which is JSON or a URI."""
        text = text.strip()
        if not text:
            raise ValueError("it is empty")
        return cls.from_json(text, conn_id) if text[0] == "{" else cls.from_uri(text, conn_id)

    @classmethod
    def from_json(cls, value: str, conn_id: str | None = None) -> Connection:
        """The connection of a JSON object."""
        try:
            fields: dict[str, Any] = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it is not JSON") from None
        unknown = set(fields) - {*_FIELDS, "conn_id", "uri"}
        if unknown:
            raise ValueError(f"it has fields that no connection has: {', '.join(sorted(unknown))}")
        fields.pop("conn_id", None)
        fields["extra"] = fields.get("extra") or None
        try:
            fields["port"] = int(fields["port"]) if fields.get("port") else None
        except (TypeError, ValueError, OverflowError):
            raise ValueError("its port is not a number") from None
        for name in ("conn_type", "uri"):
            if not isinstance(fields.get(name, ""), (str, type(None))):
                raise ValueError(f"its {name} is not text")
        if fields.get("conn_type"):
            fields["conn_type"] = _normal_type(fields["conn_type"])
        return cls(conn_id, **fields)

    @classmethod
    def from_uri(cls, uri: str, conn_id: str | None = None) -> Connection:
        """The connection of a URI.

        1. Some cores write a type with underscores as the scheme, and no "//" where host and path are
           empty. No URI parser takes that, Airflow's mangles it, and here it is read as meant.
        2. A second "://" is of a host with a protocol; a third is refused.
        3. Host, login, password and schema are unquoted, "+" is a plus.
        4. "__extra__" in the query replaces all else of it.
        """
        from urllib.parse import parse_qsl, unquote, urlsplit

        uri = _repaired(uri)
        schemes = uri.count("://")
        if schemes > 2:
            raise ValueError('it has "://" more than twice: a URL in it has to be percent-encoded')
        try:
            conn_type = urlsplit(uri).scheme
            rest = uri.replace(f"{conn_type}://", "" if schemes == 2 else "//")
            if schemes == 2 and any(mark in rest.split("://", 1)[0] for mark in "@:"):
                raise ValueError("what stands before its second '://' is no protocol")
            parts = urlsplit(rest)
            host = _host_of(parts)
            port = parts.port
        except ValueError as error:
            # What urllib says may quote the URI.
            raise ValueError(f"it is not a URI that Airflow reads ({type(error).__name__})") from None
        extra = None
        if parts.query:
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            extra = query[cls.EXTRA_KEY] if cls.EXTRA_KEY in query else json.dumps(query)
        return cls(
            conn_id,
            conn_type=_normal_type(conn_type),
            host=f"{parts.scheme}://{host}" if host and schemes == 2 else host,
            login=unquote(parts.username) if parts.username else parts.username,
            password=unquote(parts.password) if parts.password else parts.password,
            schema=unquote(parts.path[1:]),
            port=port,
            extra=extra,
        )

    def get_uri(self) -> str:
        """The connection as the URI that Airflow makes of it."""
        from urllib.parse import quote, urlencode

        uri = f"{self.conn_type.lower().replace('_', '-')}://" if self.conn_type else "//"
        host = self.host or ""
        if "://" in host:
            protocol, rest = host.split("://", 1)
            if protocol != self.conn_type:
                uri, host = f"{uri}{protocol}://", rest
        user = quote(self.login, safe="") if self.login is not None else ""
        if self.password is not None:
            user += ":" + quote(self.password, safe="")
        where = quote(host, safe="")
        if self.port:
            where += f":{self.port}" if where or user else f"@:{self.port}"
        if self.schema:
            where += "/" + quote(self.schema, safe="")
        uri += (user + "@" if user else "") + where
        return uri + self._query(urlencode)

    def _query(self, urlencode: Callable[[dict[str, Any]], str]) -> str:
        from urllib.parse import parse_qsl

        if not self.extra:
            return ""
        begin = "?" if self.schema else "/?"
        extra = self.extra_dejson
        try:
            flat = urlencode(extra)
        except TypeError:
            flat = ""
        if flat and extra == dict(parse_qsl(flat, keep_blank_values=True)):
            return begin + flat
        return begin + urlencode({self.EXTRA_KEY: self.extra})


def _repaired(uri: str) -> str:
    scheme, colon, rest = uri.partition(":")
    if not colon or "_" not in scheme or not scheme.replace("_", "").replace("-", "").replace(".", "").replace("+", "").isalnum():
        return uri
    return scheme.replace("_", "-") + "://" + (rest[2:] if rest.startswith("//") else rest)


def _normal_type(conn_type: str) -> str:
    return "postgres" if conn_type == "postgresql" else conn_type.replace("-", "_")


def _host_of(parts: SplitResult) -> str:
    """The host as written where it holds a "/", and otherwise in lower case, as urllib has it."""
    from urllib.parse import unquote

    host = unquote(parts.hostname or "")
    if "/" not in host:
        return host
    written = parts.netloc.rpartition("@")[2]
    if ":" in written:
        written = written.split(":", 1)[0]
    return unquote(written)
