"""Tells what this Airflow makes of an entry, from wherever in Airflow it is called.

A station is a name and a directory. It reads NAME.request, a JSON object, and writes
NAME.answer: what every way of looking an entry up gave, as text that a program in
another language can compare.
"""
import asyncio
import json
import os
import time

FIELDS = ("conn_type", "host", "login", "password", "schema", "port", "description")


def canonical(value):
    return json.dumps(value, sort_keys=True)


def fields(conn):
    """The fields of a connection, each as JSON text; None is "null"."""
    found = {name: canonical(getattr(conn, name, None)) for name in FIELDS}
    extra = conn.extra
    try:
        found["extra"] = canonical(json.loads(extra)) if extra else "null"
    except ValueError:
        found["extra"] = "text " + canonical(extra)
    try:
        found["extra_dejson"] = canonical(conn.extra_dejson)
    except Exception as error:
        found["extra_dejson"] = "raises " + type(error).__name__
    return found


def look_up(get, name, show):
    """Whatever is raised, in versions before 3.1 an import error too, is no entry."""
    try:
        found = get(name)
    except BaseException as error:
        return missing(error)
    return {"missing": "None"} if found is None else show(found)


def missing(error):
    """Before 3.2.2 a refusal of leoflow_runtime's backend is no Exception, which Airflow would swallow."""
    if not isinstance(error, Exception) and type(error).__name__ != "Denied":
        raise error
    return {"missing": type(error).__name__}


def value(text):
    return {"value": canonical(text)}


def readers():
    """The ways to look an entry up that this version has, as (name, connection, variable).

    Without a supervisor, the worker's way asks the backends and then finds no API.
    """
    from airflow.models import Connection, Variable

    yield "models", Connection.get_connection_from_secrets, Variable.get
    from airflow.hooks.base import BaseHook

    yield "base", BaseHook.get_connection, Variable.get
    try:
        from airflow.sdk import Connection as WorkerConnection
        from airflow.sdk import Variable as WorkerVariable
    except ImportError:
        return
    yield "sdk", WorkerConnection.get, WorkerVariable.get


def async_getter():
    """The coroutine that looks a connection up, and the name of its way."""
    try:
        from airflow.sdk import BaseHook

        return BaseHook.aget_connection
    except (ImportError, AttributeError):
        from airflow.hooks.base import BaseHook
        from asgiref.sync import sync_to_async

        return sync_to_async(BaseHook.get_connection)


def asked(request, way):
    """What to look up: by every way but the first perhaps only some of it."""
    brief = request.get("brief") if way != "models" else None
    return (brief or request)["connections"], (brief or request)["variables"]


def answer_sync(request):
    ways = {}
    for way, connection, variable in readers():
        connections, variables = asked(request, way)
        ways[way] = {
            "connections": {i: look_up(connection, i, fields) for i in connections},
            "variables": {k: look_up(variable, k, value) for k in variables},
        }
    return ways


async def answer_async(request):
    get = async_getter()
    found = {}
    for conn_id in asked(request, "async")[0]:
        try:
            found[conn_id] = fields(await get(conn_id))
        except BaseException as error:
            found[conn_id] = missing(error)
    return {"connections": found, "variables": {}}


def take(name):
    """The request that waits, or None; it is taken away."""
    path = os.path.join(os.environ["JUDGE_DIR"], name + ".request")
    try:
        with open(path, encoding="utf-8") as file:
            request = json.load(file)
        os.unlink(path)
    except FileNotFoundError:
        return None
    return request


def give(name, request, ways, at):
    path = os.path.join(os.environ["JUDGE_DIR"], name + ".answer")
    with open(path + ".next", "w", encoding="ascii") as file:
        json.dump({"number": request["number"], "at": at, "until": time.time(), "ways": ways}, file)
    os.replace(path + ".next", path)


def answer(name, request):
    if "hooks" in request:
        import hooks

        give(name, request, {"hooks": hooks.resolve(request["hooks"]), "providers": hooks.providers()}, time.time())
        return
    if "rows" in request:
        import credential

        give(name, request, credential.judge(request["rows"]), time.time())
        return
    if "refusals" in request:
        import refusal

        give(name, request, refusal.answer(request["refusals"]), time.time())
        return
    if "torn" in request:
        import torn

        give(name, request, torn.look(request["torn"]), time.time())
        return
    at = time.time()
    ways = answer_sync(request)
    ways["async"] = asyncio.run(answer_async(request))
    give(name, request, ways, at)


def ready(name):
    open(os.path.join(os.environ["JUDGE_DIR"], name + ".ready"), "w").close()


def once(name):
    """Answers one request if one waits; what is parsed again and again calls this."""
    ready(name)
    request = take(name)
    if request is not None:
        answer(name, request)


def serve(name):
    """Answers requests until one says to stop."""
    ready(name)
    while True:
        request = take(name)
        if request is None:
            time.sleep(0.02)
        elif request.get("stop"):
            return
        else:
            answer(name, request)


async def serve_async(name):
    """Does so in an event loop, as a trigger has to."""
    from asgiref.sync import sync_to_async

    ready(name)
    while True:
        request = take(name)
        if request is None:
            await asyncio.sleep(0.02)
        elif request.get("stop"):
            return
        else:
            if "refusals" in request:
                import refusal

                give(name, request, await sync_to_async(refusal.answer)(request["refusals"]), time.time())
                continue
            at = time.time()
            ways = await sync_to_async(answer_sync)(request)
            ways["async"] = await answer_async(request)
            give(name, request, ways, at)


if __name__ == "__main__":
    serve(os.environ["JUDGE_STATION"])
