"""Has real Airflow make pods: KubernetesPodOperator with volume(), KubernetesExecutor's, and the mutation hook on both."""
import datetime
import json
import os

# The operator looks for a cluster before it makes a pod. Nobody calls this one.
CLUSTER = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
           "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "u", "user": {"token": "t"}}]}
os.environ["KUBECONFIG"] = os.path.join(os.environ["HOME"], "kubeconfig")
with open(os.environ["KUBECONFIG"], "w", encoding="ascii") as file:
    json.dump(CLUSTER, file)

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from leoflow_runtime.kubernetes import Grant, mutation_hook, volume

AGENT = "registry.example.com/agent:v1"
hook = mutation_hook([Grant(dag="billing_*", connections="payroll", service_account="billing"), Grant(dag="reports", labels={"team": "a"}, variables="region")], agent=AGENT)


def shown(pod):
    return ApiClient().sanitize_for_serialization(pod)


def operator(**named):
    return KubernetesPodOperator(task_id="load", name="load", image="python:3.13-slim", cmds=["python", "task.py"], **named)


def worker(dag_id):
    made = PodGenerator.construct_pod(
        dag_id=dag_id, task_id="load", pod_id="p", try_number=1, kube_image="airflow", date=datetime.datetime(2026, 1, 1), args=["airflow"], pod_override_object=None,
        base_worker_pod=k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image="airflow", env=[
            k8s.V1EnvVar(name="PYTHONPATH", value="/opt"), k8s.V1EnvVar(name="AIRFLOW__SECRETS__BACKEND", value="other")])])),
        namespace="airflow", scheduler_job_id="1", with_mutation_hook=False)
    return made


plain = operator(**volume("warehouse, region?", "batch.size", agent=AGENT, refresh="30s")).build_pod_request_obj()
mutated = operator(labels={"dag_id": "billing_month"}, **volume("warehouse", agent=AGENT)).build_pod_request_obj()
hook(mutated)
bare, grouped = (operator(labels={"dag_id": "billing_month"}, security_context=context).build_pod_request_obj() for context in ({}, {"fsGroup": 5}))
for pod in (bare, grouped):
    hook(pod)
billing, reports, other = worker("billing_month"), worker("reports"), worker("other")
reports.metadata.labels["team"] = "a"
for pod in (billing, reports, other):
    hook(pod)
once = json.dumps(shown(billing), sort_keys=True)
hook(billing)
assert once == json.dumps(shown(billing), sort_keys=True), "the hook changes a pod twice"

spec = shown(plain)["spec"]
assert {"name": "leoflow", "csi": {"driver": "secrets.csi.leoflow.io", "readOnly": True, "volumeAttributes": {
    "connections": "warehouse, region?", "variables": "batch.size", "mode": "0444", "refresh": "30s"}}} in spec["volumes"], spec["volumes"]
assert spec["initContainers"][0]["args"] == ["install", "--python", "/leoflow"], spec
assert spec["containers"][0]["command"] == ["python", "task.py"]
assert {"name": "PYTHONPATH", "value": "/leoflow/leoflow_runtime.whl"} in spec["containers"][0]["env"]
assert {"name": "leoflow", "mountPath": "/var/run/leoflow/secrets", "readOnly": True} in spec["containers"][0]["volumeMounts"]

spec = shown(mutated)["spec"]
assert spec["serviceAccountName"] == "billing"
assert [v["csi"]["volumeAttributes"]["connections"] for v in spec["volumes"] if "csi" in v] == ["warehouse"], "what the DAG asked for stays"
assert len(spec["initContainers"]) == 1

for pod, attributes in ((bare, {"connections": "payroll", "mode": "0444"}), (grouped, {"connections": "payroll"})):
    spec = shown(pod)["spec"]
    assert spec["serviceAccountName"] == "billing"
    assert [v["csi"]["volumeAttributes"] for v in spec["volumes"] if "csi" in v] == [attributes]

spec = shown(billing)["spec"]
env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
assert spec["serviceAccountName"] == "billing"
assert env["PYTHONPATH"] == "/leoflow/leoflow_runtime.whl:/opt", env
assert env["AIRFLOW__SECRETS__BACKEND"] == env["AIRFLOW__WORKERS__SECRETS_BACKEND"] == "leoflow_runtime.backend.VolumeBackend"
assert json.loads(env["AIRFLOW__SECRETS__BACKEND_KWARGS"]) == {"dir": "/var/run/leoflow/secrets"}
assert [v["csi"]["volumeAttributes"] for v in spec["volumes"] if "csi" in v] == [{"connections": "payroll", "mode": "0444"}]

assert [v["csi"]["volumeAttributes"] for v in shown(reports)["spec"]["volumes"] if "csi" in v] == [{"variables": "region", "mode": "0444"}]
assert shown(reports)["spec"].get("serviceAccountName") is None
assert "volumes" not in shown(other)["spec"] and "initContainers" not in shown(other)["spec"], "nobody grants it anything"
print("pods: right")
