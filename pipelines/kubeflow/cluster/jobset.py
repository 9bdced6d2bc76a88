"""The JobSet that trains on several pods (jobset.x-k8s.io/v1alpha2): a pure function.

All pods are one indexed Job. If one fails, JobSet begins the Job anew, since the collectives of
TensorFlow cannot replace a single worker; the new pods resume from the last checkpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.kubeflow import StepConfig
from pipelines.kubeflow.contract.package_format import Json
from pipelines.kubeflow.contract.workers import WorkerPods

API = "jobset.x-k8s.io/v1alpha2"
RESOURCE = "jobsets"
JOB, CONTAINER = "worker", "worker"
#: Labels that the controller gives each pod.
SET_LABEL = "jobset.sigs.k8s.io/jobset-name"
ATTEMPT_LABEL = "jobset.sigs.k8s.io/restart-attempt"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
#: The label of a JobSet with its run, as Kubeflow labels the pods of steps.
RUN_LABEL = "pipeline/runid"
#: By this label the network policy of k8s/workers finds the pods.
_APP = {"app.kubernetes.io/name": "skymill-workers"}

_USER = 65532
_GRACE_S = 120
_TTL_S = 3600


@dataclass(frozen=True)
class Owner:
    """The pod of the step that creates the JobSet; with it Kubernetes deletes the JobSet.

    Attributes:
        pod, uid: its name and its identity.
        run_id: the run that it belongs to.
        account: its service account, which the workers have without a token.
    """

    pod: str
    uid: str
    run_id: str
    account: str = "default"


def jobset(
    name: str, pods: WorkerPods, command: Sequence[str], owner: Owner, lasting_code: int
) -> Json:
    """Returns the JobSet.

    Args:
        name: its name, up to 40 characters; the pods' host names begin with it.
        pods: settings of the pods.
        command: command of each pod, with TF_CONFIG in its environment.
        owner: the step's pod.
        lasting_code: the exit code of a failure that another attempt would repeat.
    """
    count = pods.workers.count
    lasting = {"containerName": CONTAINER, "operator": "In", "values": [lasting_code]}
    job = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": lasting}]},
        "template": {
            "metadata": {"labels": {**(pods.step.labels or {}), **_APP}},
            "spec": _pod(name, pods, command, owner),
        },
    }
    owned = {"apiVersion": "v1", "kind": "Pod", "name": owner.pod, "uid": owner.uid}
    return {
        "apiVersion": API,
        "kind": "JobSet",
        "metadata": {
            "name": name,
            "labels": {RUN_LABEL: owner.run_id, **_APP},
            "ownerReferences": [owned],
        },
        "spec": {
            # Workers wait for each other before they are ready.
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "failurePolicy": {
                "maxRestarts": pods.workers.restarts,
                "rules": [
                    {
                        "name": "lastingFailure",
                        "action": "FailJobSet",
                        "onJobFailureReasons": ["PodFailurePolicy"],
                    }
                ],
            },
            "ttlSecondsAfterFinished": _TTL_S,
            "replicatedJobs": [{"name": JOB, "replicas": 1, "template": {"spec": job}}],
        },
    }


def hosts(name: str, count: int) -> list[str]:
    """Returns the workers' host names in the order of their indices, as JobSet gives them."""
    return [f"{name}-{JOB}-0-{index}.{name}" for index in range(count)]


def _pod(name: str, pods: WorkerPods, command: Sequence[str], owner: Owner) -> Json:
    step = pods.step
    mounts, volumes = _volumes(step)
    container = {
        "name": CONTAINER,
        "image": step.image,
        "imagePullPolicy": step.image_pull_policy,
        "command": list(command),
        "env": _environment(name, pods),
        "ports": [{"containerPort": pods.workers.port, "protocol": "TCP"}],
        "resources": _resources(step),
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    found = {
        "restartPolicy": "Never",
        "serviceAccountName": owner.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": step.node_selector,
        "tolerations": [
            {key: value for key, value in one.model_dump().items() if value}
            for one in step.tolerations or ()
        ],
        "imagePullSecrets": [{"name": secret} for secret in pods.pull_secrets],
        "containers": [{key: value for key, value in container.items() if value is not None}],
        "volumes": volumes,
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


def _environment(name: str, pods: WorkerPods) -> list[Json]:
    """Returns the variables; Kubernetes replaces `$(NAME)` by a variable that stands before."""
    addresses = [f"{host}:{pods.workers.port}" for host in hosts(name, pods.workers.count)]
    cluster = json.dumps({"worker": addresses})
    index = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}
    task = '{"type": "worker", "index": $(WORKER_INDEX)}'
    own: Json = {"HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    own |= pods.step.environment or {}
    return [
        {"name": "WORKER_INDEX", "valueFrom": index},
        {"name": "TF_CONFIG", "value": f'{{"cluster": {cluster}, "task": {task}}}'},
        *({"name": key, "value": value} for key, value in own.items()),
        *(
            {
                "name": one.variable,
                "valueFrom": {"secretKeyRef": {"name": one.secret, "key": one.key}},
            }
            for one in pods.step.secret_variables or ()
        ),
    ]


def _resources(step: StepConfig) -> Json:
    requests = {"cpu": step.cpu_request, "memory": step.memory_request}
    limits = {"cpu": step.cpu_limit, "memory": step.memory_limit}
    if step.accelerator:
        limits[step.accelerator.resource] = str(step.accelerator.count)
    parts = {"requests": requests, "limits": limits}
    return {
        part: {name: value for name, value in given.items() if value}
        for part, given in parts.items()
        if any(given.values())
    }


def _volumes(step: StepConfig) -> tuple[list[Json], list[Json]]:
    """Returns the mounts and their volumes; only these and /tmp can be written."""
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    for one in step.volumes or ():
        mounts.append({"name": one.claim, "mountPath": one.path})
        volumes.append({"name": one.claim, "persistentVolumeClaim": {"claimName": one.claim}})
    for secret in step.secret_volumes or ():
        mounts.append({"name": secret.secret, "mountPath": secret.path, "readOnly": True})
        volumes.append({"name": secret.secret, "secret": {"secretName": secret.secret}})
    if step.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": step.shared_memory}
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
        volumes.append({"name": "shared-memory", "emptyDir": memory})
    return mounts, volumes
