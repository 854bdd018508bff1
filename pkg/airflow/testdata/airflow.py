"""What Airflow makes of a connection, on Python's own urllib and json.

Reads a JSON list of [form, text] from standard input and writes a JSON list of what
was made of each. The forms: "uri" and "json" (the value of AIRFLOW_CONN_*), "file" (an
object in the file of LocalFilesystemBackend) and "upper" (the end of a variable's
name).
"""
import json
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


def connection(**given):
    return {name: given.get(name) for name in FIELDS}


def normalized(conn_type):
    return "postgres" if conn_type == "postgresql" else conn_type.replace("-", "_")


def hostname(parts):
    decoded = unquote(parts.hostname or "")
    if "/" not in decoded:
        return decoded
    return unquote(parts.netloc.rsplit("@", 1)[-1].split(":", 1)[0])


def decoded(text):
    return unquote(text) if text else text


def extra_of(query):
    if not query:
        return None
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return pairs["__extra__"] if "__extra__" in pairs else json.dumps(pairs)


def from_uri(uri):
    schemes = uri.count("://")
    if schemes > 2:
        raise ValueError("too many schemes")
    conn_type = urlsplit(uri).scheme
    rest = uri.replace(conn_type + "://", "" if schemes == 2 else "//")
    if schemes == 2 and set("@:") & set(rest.split("://", 1)[0]):
        raise ValueError("text before the protocol")
    parts = urlsplit(rest)
    host = hostname(parts)
    if schemes == 2 and parts.scheme and host:
        host = parts.scheme + "://" + host
    return connection(
        conn_type=normalized(conn_type),
        host=host,
        login=decoded(parts.username),
        password=decoded(parts.password),
        schema=decoded(parts.path[1:]),
        port=parts.port,
        extra=extra_of(parts.query),
    )


def checked_port(port):
    if port is None or port == "":
        return None
    if isinstance(port, str):
        port = int(port)
    if type(port) is not int or not 0 <= port <= 65535:
        raise ValueError("port")
    return port


def from_object(fields):
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise TypeError("unknown fields")
    extra = fields.get("extra")
    if not extra:
        fields["extra"] = None
    elif not isinstance(extra, str):
        fields["extra"] = json.dumps(extra)
    return connection(**fields)


def from_json(text):
    fields = json.loads(text)
    if "uri" in fields and set(fields) <= {"uri", "description"}:
        return from_uri(fields["uri"]) | {"description": fields.get("description")}
    if fields.get("conn_type"):
        fields["conn_type"] = normalized(fields["conn_type"])
    fields["port"] = checked_port(fields.get("port"))
    return from_object(fields)


FORMS = {
    "uri": from_uri,
    "json": from_json,
    "file": lambda text: from_object(json.loads(text)),
    "upper": str.upper,
}


def answer(form, text):
    try:
        return {"value": FORMS[form](text)}
    except (TypeError, ValueError) as refusal:
        return {"error": type(refusal).__name__}


json.dump([answer(form, text) for form, text in json.load(sys.stdin)], sys.stdout)
