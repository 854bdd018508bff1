"""Tasks whose pods have the volume by leoflow_runtime.kubernetes: by their DAG, or by the hook in local_settings.py."""

from __future__ import annotations

import hashlib
from datetime import datetime

from seen import tell

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, BaseHook, task
from leoflow_runtime.kubernetes import volume

IMAGE = "localhost/leoflow/airflow:test"

# What a pod sees that no Airflow runs in, of an entry that it may have and of one that it may not.
LOOKS = """
import hashlib, sys
from leoflow_runtime import Refused, get_connection

may, may_not = sys.argv[1:]
print("SEEN password of", may + ":", hashlib.sha256(get_connection(may).password.encode()).hexdigest())
try:
    get_connection(may_not)
except Refused as error:
    print("SEEN", may_not + ":", error.state)
"""


def pod(task_id, *ids, **named):
    return KubernetesPodOperator(
        task_id=task_id, name=task_id, image=IMAGE, cmds=["python", "-c", LOOKS, *ids], on_finish_action="keep_pod", **named
    )


# The hook adds to this template whatever is Leoflow's.
WORKER = {"executor_config": {"pod_template_file": "/opt/airflow/templates/plain.yaml"}}

with DAG("CONTROL-launch", schedule="@once", start_date=datetime(2026, 1, 1), default_args=WORKER):
    pod("operates", "warehouse", "billing", service_account_name="airflow-worker", **volume("warehouse, billing?", agent="AGENT"))
    pod("hooked", "billing", "warehouse")

    @task.kubernetes(
        image=IMAGE, on_finish_action="keep_pod", service_account_name="airflow-worker", **volume("warehouse, billing?", agent="AGENT")
    )
    def decorated():
        import hashlib

        from leoflow_runtime import Refused, get_connection

        print("SEEN password of warehouse:", hashlib.sha256(get_connection("warehouse").password.encode()).hexdigest())
        try:
            get_connection("billing")
        except Refused as error:
            print("SEEN billing:", error.state)

    @task
    def granted():
        """In a worker of KubernetesExecutor, by Airflow's own way to look up."""
        tell("password of billing", hashlib.sha256(BaseHook.get_connection("billing").password.encode()).hexdigest())
        try:
            BaseHook.get_connection("warehouse")
        except PermissionError as error:
            tell("warehouse", error.state)

    decorated()
    granted()
