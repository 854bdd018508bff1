"""Which kind of Airflow's processes this is. Nothing is imported for it."""

from __future__ import annotations

import os
import sys

# Commands that run a task, or read a DAG file for one, in their own process.
_OF_TASKS = ("tasks", "dags")

# Programs in which others run Airflow's services.
_SERVERS = ("celery", "gunicorn", "uvicorn")


def may_end() -> bool:
    """Tells whether an exception that nothing catches may end what runs here.

    It may in a task, which then fails as it should, and in a program of the user's own. Of
    Airflow's services, and of the supervisor of a task, it would end everything.
    """
    return _is_in_task() or not _is_service()


def _is_in_task() -> bool:
    # From 3.0 on a task, a trigger and a DAG file each run in a child that has this link to its supervisor.
    if hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS"):
        return True
    # In 2.x this list has the contexts of the tasks that are being executed.
    return bool(getattr(sys.modules.get("airflow.models.taskinstance"), "_CURRENT_CONTEXT", None))


def _is_service() -> bool:
    program, arguments = (sys.argv[0] if sys.argv else ""), sys.argv[1:]
    name = os.path.basename(program)
    if name == "airflow" or program.endswith("/airflow/__main__.py"):
        return not arguments or arguments[0] not in _OF_TASKS
    return name in _SERVERS or "/airflow/" in program
