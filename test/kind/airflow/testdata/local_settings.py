"""The platform's airflow_local_settings.py: what pods are given, by their DAG and task."""

from leoflow_runtime.kubernetes import Grant, mutation_hook

pod_mutation_hook = mutation_hook(
    [
        Grant(dag="*-launch", task="granted", connections="billing, warehouse?", service_account="billing"),
        # Workers that make pods. Core lets their account read nothing.
        Grant(dag="*-launch", labels={"kubernetes_executor": "True"}, connections="warehouse?", service_account="airflow-launcher"),
        Grant(dag="*-launch", task="hooked", connections="billing, warehouse?", service_account="billing"),
    ],
    agent="AGENT",
)
