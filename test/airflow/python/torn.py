"""Looks one entry up again and again while its file changes."""
import json
import threading


def one(conn_id):
    """The mark that every field of the entry has; an error where they differ."""
    from airflow.models import Connection

    conn = Connection.get_connection_from_secrets(conn_id)
    marks = {conn.login, conn.password, conn.schema, json.loads(conn.extra)["mark"]}
    if len(marks) != 1:
        raise ValueError("torn")
    return marks.pop()


def look(asked):
    """Several threads look the entry up, at least so often and until they see its last value."""
    result = {"lookups": 0, "errors": [], "values": 0, "backwards": 0}
    lock = threading.Lock()
    values = set()

    def work(times):
        before = ""
        done = 0
        while done < times or before != asked["last"]:
            done += 1
            try:
                mark = one(asked["id"])
            except Exception as error:
                with lock:
                    result["errors"].append(type(error).__name__)
                if len(result["errors"]) > 100:
                    break
                continue
            if mark != before:
                with lock:
                    values.add(mark)
                    result["backwards"] += mark < before
                before = mark
        with lock:
            result["lookups"] += done

    threads = [threading.Thread(target=work, args=(asked["lookups"] // 2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result["values"] = len(values)
    return {"torn": result}
