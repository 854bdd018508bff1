"""Imports files by Airflow's own commands, reads what the metastore then holds, and exports it again.

python truth.py CONNECTIONS VARIABLES DIRECTORY writes DIRECTORY/truth.json and the
exports beside it.
"""
import contextlib
import json
import os
import sys

import station
from airflow.cli.cli_parser import get_parser
from airflow.models import Connection, Variable
from airflow.secrets.local_filesystem import _parse_secret_file


PARSER = get_parser()


def command(*args):
    parsed = PARSER.parse_args(list(args))
    parsed.func(parsed)


def import_each(kind, entries, directory):
    """Imports entry by entry, since the command takes a file whole or not at all."""
    path = os.path.join(directory, "one.json")
    refused = {}
    for name, entry in entries.items():
        with open(path, "w", encoding="ascii") as file:
            json.dump({name: entry}, file)
        try:
            command(kind, "import", path)
        except (Exception, SystemExit) as error:
            refused[name] = {"missing": type(error).__name__}
    return refused


def worker_fields(conn):
    """What the API server hands a worker of this connection."""
    try:
        from airflow.sdk import Connection
    except ImportError:
        return station.fields(conn)
    names = ("conn_type", "host", "login", "password", "schema", "port", "extra")
    return station.fields(Connection(conn_id=conn.conn_id, **{name: getattr(conn, name) for name in names}))


def export(kept, directory):
    """Exports in every format. One entry without a URI would spoil the .env for all, so it goes first."""
    for name in ("connections.json", "connections.yaml"):
        command("connections", "export", os.path.join(directory, name))
    command("variables", "export", os.path.join(directory, "variables.json"))
    for conn_id in kept:
        try:
            Connection.get_connection_from_secrets(conn_id).get_uri()
        except Exception:
            with contextlib.suppress(SystemExit):  # it was never stored
                command("connections", "delete", conn_id)
    command("connections", "export", os.path.join(directory, "connections.env"))


def main(connections, variables, directory):
    entries = _parse_secret_file(connections)
    refused = import_each("connections", entries, directory)
    kept = [conn_id for conn_id in entries if conn_id not in refused]
    truth = {"models": dict(refused), "sdk": dict(refused)}
    for conn_id in kept:
        try:
            conn = Connection.get_connection_from_secrets(conn_id)
        except Exception as error:
            truth["models"][conn_id] = truth["sdk"][conn_id] = {"missing": type(error).__name__}
            continue
        truth["models"][conn_id], truth["sdk"][conn_id] = station.fields(conn), worker_fields(conn)
    with open(variables, encoding="utf-8") as file:
        entries = json.load(file)
    truth["variables"] = import_each("variables", entries, directory)
    for key in entries:
        truth["variables"].setdefault(key, station.look_up(Variable.get, key, station.value))
    if os.environ.get("JUDGE_HOOKS"):
        import hooks

        truth["hooks"] = hooks.resolve(sorted(kept))
    export(kept, directory)
    with open(os.path.join(directory, "truth.json"), "w", encoding="ascii") as file:
        json.dump(truth, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
