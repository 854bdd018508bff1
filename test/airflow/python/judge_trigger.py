"""A trigger that is a station."""
import os

import station
from airflow.triggers.base import BaseTrigger, TriggerEvent


class JudgeTrigger(BaseTrigger):
    def serialize(self):
        return "judge_trigger.JudgeTrigger", {}

    async def run(self):
        await station.serve_async(os.environ["JUDGE_TRIGGERS"])
        yield TriggerEvent("done")
