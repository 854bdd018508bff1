"""Volumes for pods that Airflow makes.

For one task, in its DAG:

    KubernetesPodOperator(..., **volume("warehouse, region?", agent="registry.example.com/agent:v1"))

For all tasks, in the platform's airflow_local_settings.py:

    pod_mutation_hook = mutation_hook(
        [Grant(dag="billing_*", connections="payroll", service_account="billing"), Grant(connections="warehouse")],
        agent="registry.example.com/agent:v1",
    )

No secret is in a pod that is made so. Core decides by the pod's service account what it may read.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from .upstream import take
from .volume import DEFAULT_DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

DRIVER = "secrets.csi.leoflow.io"

_VOLUME = "leoflow"
_AGENT = "leoflow-agent"
_AGENT_DIRECTORY = "/leoflow"
_WHEEL = _AGENT_DIRECTORY + "/leoflow_runtime.whl"

_BACKEND = "leoflow_runtime.backend.VolumeBackend"


def volume(connections: str = "", variables: str = "", *, agent: str | None = None, **attributes: str) -> dict[str, Any]:
    """Arguments for KubernetesPodOperator and @task.kubernetes: the volume at its usual place.

    The ids are written as in a pod: with commas, and "?" after one that may be absent. With an agent's
    image, /leoflow/agent is there too, and every Python of the pod can import leoflow_runtime. Files
    are readable to every user of the pod, since such a pod rarely has an fsGroup; mode="0440" is as
    strict as the driver's default.
    """
    made: dict[str, Any] = {
        "volumes": [_csi(connections, variables, {"mode": "0444", **attributes})],
        "volume_mounts": [_model("V1VolumeMount", name=_VOLUME, mount_path=DEFAULT_DIRECTORY, read_only=True)],
    }
    if agent is not None:
        made["volumes"].append(_empty_directory())
        made["volume_mounts"].append(_agent_mount())
        made["init_containers"] = [_installer(agent)]
        made["env_vars"] = {"PYTHONPATH": _WHEEL}
    return made


class Grant:
    """What tasks are given, and which: by patterns of their DAG's and their own id, and by labels of their pod."""

    def __init__(
        self,
        *,
        dag: str = "*",
        task: str = "*",
        labels: Mapping[str, str] | None = None,
        connections: str = "",
        variables: str = "",
        service_account: str | None = None,
        **attributes: str,
    ) -> None:
        self._names = {"dag_id": dag, "task_id": task, **(labels or {})}
        self.connections = connections
        self.variables = variables
        self.service_account = service_account
        self.attributes = attributes
        if not (connections or variables or service_account):
            raise ValueError("the grant gives nothing: name connections, variables or a service_account")

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Tells whether a pod of these labels is meant."""
        return all(fnmatchcase(labels.get(name, ""), pattern) for name, pattern in self._names.items())


def mutation_hook(grants: Sequence[Grant], *, agent: str) -> Callable[[Any], None]:
    """A pod_mutation_hook that gives a pod what the first grant says that covers it.

    A pod has a volume, the agent, and the grant's service account; a volume that its DAG asked for by
    itself stays as it is. A worker of KubernetesExecutor is pointed to the backend. A pod that no
    grant covers stays as it is.
    """

    def hook(pod: Any) -> None:
        names = _names_of(pod)
        if "dag_id" not in names:
            return
        grant = next((each for each in grants if each.covers(names)), None)
        if grant is not None:
            _give(pod, grant, agent)

    return hook


def _names_of(pod: Any) -> dict[str, str]:
    """The pod's labels, and its DAG and task by their true names, which stand in annotations."""
    metadata = pod.metadata
    names: dict[str, str] = dict(metadata.labels or {})
    annotations: dict[str, str] = metadata.annotations or {}
    names.update((name, annotations[name]) for name in ("dag_id", "task_id") if name in annotations)
    return names


def _give(pod: Any, grant: Grant, agent: str) -> None:
    spec = pod.spec
    if grant.service_account is not None:
        spec.service_account_name = grant.service_account
    volumes = list(spec.volumes or [])
    has_own = any(each.csi is not None and each.csi.driver == DRIVER for each in volumes)
    if not has_own and not (grant.connections or grant.variables):
        return
    task = next((each for each in spec.containers if each.name == "base"), spec.containers[0])
    task.volume_mounts = list(task.volume_mounts or [])
    if not has_own:
        mode = {} if _has_group(spec.security_context) else {"mode": "0444"}
        volumes.append(_csi(grant.connections, grant.variables, {**mode, **grant.attributes}))
        task.volume_mounts.append(_model("V1VolumeMount", name=_VOLUME, mount_path=DEFAULT_DIRECTORY, read_only=True))
    if not any(each.name == _AGENT for each in volumes):
        volumes.append(_empty_directory())
        task.volume_mounts.append(_agent_mount())
        spec.init_containers = [*(spec.init_containers or []), _installer(agent)]
    spec.volumes = volumes
    _point(task, is_worker=_names_of(pod).get("kubernetes_executor") == "True")


def _has_group(context: Any) -> bool:
    """Tells whether a pod has an fsGroup. KubernetesPodOperator leaves a dict of its user's as it is."""
    if isinstance(context, dict):
        return any(context.get(name) is not None for name in ("fsGroup", "fs_group"))  # pyright: ignore[reportUnknownMemberType]
    return context is not None and context.fs_group is not None


def _point(container: Any, is_worker: bool) -> None:
    """Lets the container's Python find the package, and a worker's Airflow the backend."""
    wanted = {"PYTHONPATH": _WHEEL}
    if is_worker:
        for section in ("SECRETS__BACKEND", "WORKERS__SECRETS_BACKEND"):
            wanted[f"AIRFLOW__{section}"] = _BACKEND
            wanted[f"AIRFLOW__{section}_KWARGS"] = f'{{"dir": "{DEFAULT_DIRECTORY}"}}'
    before: list[Any] = container.env or []
    kept: list[Any] = []
    for each in before:
        if each.name == "PYTHONPATH" and each.value:
            wanted["PYTHONPATH"] = each.value if _WHEEL in each.value.split(":") else f"{_WHEEL}:{each.value}"
        elif each.name not in wanted:
            kept.append(each)
    container.env = kept + [_model("V1EnvVar", name=name, value=value) for name, value in wanted.items()]


def _csi(connections: str, variables: str, attributes: Mapping[str, str]) -> Any:
    asked = {name: ids for name, ids in (("connections", connections), ("variables", variables)) if ids.strip()}
    if not asked:
        raise ValueError("nothing is asked for: name connections or variables")
    source = _model("V1CSIVolumeSource", driver=DRIVER, read_only=True, volume_attributes={**asked, **attributes})
    return _model("V1Volume", name=_VOLUME, csi=source)


def _empty_directory() -> Any:
    return _model("V1Volume", name=_AGENT, empty_dir=_model("V1EmptyDirVolumeSource"))


def _agent_mount() -> Any:
    return _model("V1VolumeMount", name=_AGENT, mount_path=_AGENT_DIRECTORY, read_only=True)


def _installer(agent: str) -> Any:
    mount = _model("V1VolumeMount", name=_AGENT, mount_path=_AGENT_DIRECTORY)
    return _model("V1Container", name=_AGENT, image=agent, args=["install", "--python", _AGENT_DIRECTORY], volume_mounts=[mount])


def _model(kind: str, /, **fields: Any) -> Any:
    return take("kubernetes.client.models", kind)(**fields)
