"""The tasks of the test. What they see they tell by its hash, so that a value goes nowhere."""

from __future__ import annotations

import os
import time
from datetime import datetime

from documented import leoflow
from seen import Observe, fingerprint, tell

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import DAG, BaseHook, BaseOperator, Variable, task
from airflow.sdk.exceptions import AirflowNotFoundException

TEMPLATES = "/opt/airflow/templates/"


class Defers(BaseOperator):
    """Leaves it to the triggerer to look the connection up."""

    def execute(self, context):
        self.defer(trigger=Observe(conn_id="reporting"), method_name="resume")

    def resume(self, context, event):
        for fingerprint in event:
            tell("reporting in the triggerer", fingerprint)


# The id is found wherever Airflow writes about a task: the test's search looks for it too.
with DAG("CONTROL", schedule="@once", start_date=datetime(2026, 1, 1)):

    @task
    def reads(rendered):
        """By the documented template."""
        connection = PostgresHook("warehouse").get_connection("warehouse")
        assert rendered == connection.password
        tell("warehouse", fingerprint(connection))
        tell("region", fingerprint(Variable.get("region")))
        tell("batch.size", fingerprint(Variable.get("batch.size")))
        return fingerprint(connection)

    @task(executor_config={"pod_template_file": TEMPLATES + "backend.yaml"})
    def watches():
        """By the documented template with --airflow-backend, until the connection is revoked."""
        tell("in the environment", sorted(name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))))
        last = None
        while True:
            try:
                now = fingerprint(BaseHook.get_connection("reporting"))
            except AirflowNotFoundException:
                tell("reporting", "not defined")
                raise
            if now != last:
                tell("reporting", last := now)
            time.sleep(0.1)

    @task(executor_config={"pod_template_file": TEMPLATES + "bare.yaml", "pod_override": leoflow})
    def overrides():
        """By the documented pod_override, in a template without the volume."""
        tell("billing", fingerprint(BaseHook.get_connection("billing")))

    reads("{{ conn.warehouse.password }}")
    watches()
    overrides()
    Defers(task_id="defers")
