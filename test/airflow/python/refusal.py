"""Looks entries up, by every way, some of which are refused; tells what was found, or how it ended."""
import asyncio
import json
import logging
import os

import station

log = logging.getLogger("judge")


def outcome(get, name, show):
    try:
        found = get(name)
    except BaseException as error:
        # What a refusal says is for the reader of a log, and that is searched for needles.
        log.info("ended: %s", error)
        return {"raised": type(error).__name__, "bases": [each.__name__ for each in type(error).__mro__], "says": str(error)}
    return {"found": None if found is None else show(found)}


def careless(value):
    """What a task might log of a variable; the masker has to know the value, and what is inside of it."""
    if os.environ.get("JUDGE_TASK"):
        log.info("looked up: %r", value)
        if value.startswith("{"):
            log.info("looked up: %s", list(json.loads(value).values()))
    return value


def with_default(get):
    """Airflow 2 names the default otherwise."""
    def look(key):
        try:
            return get(key, default="the default")
        except TypeError:
            return get(key, default_var="the default")

    return look


def answer(request):
    ways = {}
    for way, connection, variable in station.readers():
        ways[way] = {
            "connections": {i: outcome(connection, i, lambda conn: conn.host) for i in request["connections"]},
            "variables": {k: outcome(variable, k, careless) for k in request["variables"]},
            "defaults": {k: outcome(with_default(variable), k, careless) for k in request["variables"]},
        }

    def wait(conn_id):
        return asyncio.run(station.async_getter()(conn_id))

    ways["async"] = {"connections": {i: outcome(wait, i, lambda conn: conn.host) for i in request["connections"]}, "variables": {}, "defaults": {}}
    return ways
