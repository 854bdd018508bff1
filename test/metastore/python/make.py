"""Makes nasty connections and variables by the ORM of the Airflow that runs this, and prints what its
BaseHook.get_connection and Variable.get return for each."""

import json
import os
import sys

os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")

from airflow import settings
from airflow.models import Connection, Variable, crypto

try:
    from airflow.sdk import BaseHook
except ImportError:
    from airflow.hooks.base import BaseHook

FIRST, SECOND = sys.argv[1:3]

NASTY = [
    "", " ", "p", "p@ss:w/o?r#d%41+&=", "%", "%zz", "a\nb\r\n\tc", " lead and trail ", "\u00e9\u4e2d\u6587\U0001f600", "'; DROP TABLE connection; --",
    '"quoted" \\back', "sealed:v2:AAAA", "gAAAAABnotatoken", "{\"a\": 1}", "null", "\ufeffbom", "x" * 5000, "\u2028\u2029\x7f", "$(id) `id` ${HOME}", "[::1]",
]
EXTRAS = [
    "", "{}", '{"a": 1}', '{"a": "5", "b": true, "c": null, "d": 1.50, "e": [1, {"f": "g"}]}', '{"deep": ' + "[" * 50 + "]" * 50 + "}", '{ "spaced" :\n "x" }',
    '{"\\u00e9": "\\ud83d\\ude00"}', '{"\u00e9": "\u4e2d"}', '{"key": "' + "k" * 20000 + '"}', '{"dup": 1, "dup": 2}', '{"private_key": "-----BEGIN\\nX\\n-----END"}',
    '{"big": 123456789012345678901234567890}', '{"": ""}', '{"__extra__": "x"}', '{"exp": 1e400}', '[1, 2]', '"text"', "plain text", "5",
]
PORTS = [None, 0, 1, 5432, 65535]
TYPES = ["postgres", "google_cloud_platform", "google-cloud-platform", "HTTP", "my.type", "x" * 500]


def rows():
    for i, text in enumerate(NASTY):
        for field in ("login", "password", "host", "schema", "description"):
            yield f"{field}_{i}", {"conn_type": "generic", field: text}
    for i, text in enumerate(EXTRAS):
        yield f"extra_{i}", {"conn_type": "generic", "extra": text, "password": "n33dle"}
    for i, port in enumerate(PORTS):
        yield f"port_{i}", {"conn_type": "generic", "host": "UPPER.example", "port": port}
    for i, kind in enumerate(TYPES):
        yield f"type_{i}", {"conn_type": kind, "host": "h", "login": "u", "password": "p", "extra": "{}"}
    for i, name in enumerate(["UPPER.lower-dash_x", "a/b", "a:1", "x" * 250, "caf\u00e9"]):
        yield name, {"conn_type": "generic", "host": f"named {i}"}
    yield "bare", {"conn_type": "generic"}
    for i, uri in enumerate(["postgresql://U:p%40@Host:5432/db?a=1&b=x", "aws://?__extra__=%7B%22role_arn%22%3A%20%22r%22%7D", "http://https%3A%2F%2Fh/"]):
        yield f"uri_{i}", {"uri": uri}


def save(session, made):
    try:
        session.add(made)
        session.commit()
        return True
    except Exception as error:
        session.rollback()
        print(f"refused {made}: {type(error).__name__}", file=sys.stderr)
        return False


def build(kind, **fields):
    try:
        return kind(**fields)
    except Exception as error:
        print(f"refused {fields.get('conn_id') or fields.get('key')}: {type(error).__name__}", file=sys.stderr)


def main():
    session = settings.Session()
    os.environ["AIRFLOW__CORE__FERNET_KEY"] = FIRST
    answers = {"connections": {}, "variables": {}}
    names = []
    for i, (name, fields) in enumerate(rows()):
        if i == 60:  # what follows is encrypted by another key, as after a rotation
            os.environ["AIRFLOW__CORE__FERNET_KEY"] = SECOND + "," + FIRST
            crypto._fernet = None
            getattr(getattr(crypto, "get_fernet", None), "cache_clear", lambda: None)()
        made = build(Connection, conn_id=name, **fields)
        if made is not None and save(session, made):
            names.append(name)
    keys = []
    for i, text in enumerate(NASTY + EXTRAS):
        key = f"var_{i}"
        made = build(Variable, key=key, val=text, description="d" if i % 2 else None)
        if made is not None and save(session, made):
            keys.append(key)
    from sqlalchemy import text as sql
    for statement in (
        "INSERT INTO connection (conn_id, conn_type, password, is_encrypted, is_extra_encrypted) VALUES ('clear', 'generic', 'in clear', false, false)",
        "INSERT INTO connection (conn_id, conn_type, password, extra, is_encrypted, is_extra_encrypted) VALUES ('empties', 'generic', '', '', true, true)",
        "INSERT INTO connection (conn_id, conn_type, port, is_encrypted, is_extra_encrypted) VALUES ('toolarge', 'generic', 70000, false, false)",
        "INSERT INTO connection (conn_id, conn_type, password, is_encrypted, is_extra_encrypted) VALUES ('undecryptable', 'generic', 'gAAAAABn', true, false)",
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('clearvar', 'in clear', false)",
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('nullvar', NULL, false)",
    ):
        try:
            session.execute(sql(statement))
            session.commit()
        except Exception as error:  # 3.3 has no variable without a value
            session.rollback()
            print(f"refused: {type(error).__name__}", file=sys.stderr)
    names += ["clear", "empties", "toolarge", "undecryptable"]
    for name in names:
        try:
            c = BaseHook.get_connection(name)
            answers["connections"][name] = {f: getattr(c, f) for f in ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")}
        except Exception as error:
            answers["connections"][name] = {"error": type(error).__name__}
    for key in keys + ["clearvar", "nullvar"]:
        try:
            answers["variables"][key] = {"val": Variable.get(key)}
        except Exception as error:
            answers["variables"][key] = {"error": type(error).__name__}
    print("ANSWERS" + json.dumps(answers))


main()
