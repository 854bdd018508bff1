"""A DAG whose file, task and trigger are stations, as the environment says."""
import datetime
import logging
import os
import sys

import station
from judge_trigger import JudgeTrigger

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow.models import DAG, BaseOperator

log = logging.getLogger(__name__)

# In 2.x a task reads this file too, and has what the scheduler has in its environment.
if os.environ.get("JUDGE_PARSES") and "tasks" not in sys.argv:
    station.once(os.environ["JUDGE_PARSES"])


class Judge(BaseOperator):
    """Looks entries up for whoever asks, and logs what a careless task might."""

    def execute(self, context):
        try:
            from airflow.sdk import BaseHook
        except ImportError:
            from airflow.hooks.base import BaseHook
        log.info("looked up: %s", BaseHook.get_connection("rotated").password)
        try:
            BaseHook.get_connection("nowhere")
        except Exception:
            log.exception("this one is not there")
        station.serve(os.environ["JUDGE_TASK"])


class Defer(BaseOperator):
    """Hands over to the triggerer, where there is one."""

    def execute(self, context):
        if os.environ.get("JUDGE_DEFERS"):
            self.defer(trigger=JudgeTrigger(), method_name="end")

    def end(self, context, event=None):
        log.info("the trigger has answered")


with DAG("judge", schedule="@once", start_date=datetime.datetime(2024, 1, 1), catchup=False):
    Defer(task_id="defer", priority_weight=10)
    Judge(task_id="judge")
