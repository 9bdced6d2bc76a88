"""The platform document: pod settings that the pipeline's IR cannot express.

Uses only fields that backends since 2.5 know, and plain names of secrets and claims.
"""

from pipelines.config.kubeflow import KubeflowConfig, StepConfig
from pipelines.kubeflow.contract.package_format import Json

#: The name of the volume at /dev/shm.
SHARED_MEMORY = "shared-memory"


def platform_config(step: StepConfig, kubeflow: KubeflowConfig) -> Json:
    """Returns the KubernetesExecutorConfig (protojson) of one executor; empty without settings."""
    parts: Json = {
        "secretAsEnv": [
            {
                "secretName": it.secret,
                "keyToEnv": [{"secretKey": it.key, "envVar": it.variable}],
            }
            for it in step.secret_variables or ()
        ],
        "secretAsVolume": [
            {"secretName": it.secret, "mountPath": it.path} for it in step.secret_volumes or ()
        ],
        "pvcMount": [{"constant": it.claim, "mountPath": it.path} for it in step.volumes or ()],
        "nodeSelector": {"labels": step.node_selector} if step.node_selector else {},
        "podMetadata": {"labels": step.labels} if step.labels else {},
        "tolerations": [
            {name: value for name, value in it.model_dump().items() if value}
            for it in step.tolerations or ()
        ],
        "imagePullSecret": [{"secretName": name} for name in kubeflow.image_pull_secrets],
        "imagePullPolicy": step.image_pull_policy or kubeflow.image_pull_policy,
        "activeDeadlineSeconds": str(step.timeout_s) if step.timeout_s else None,
        "enabledSharedMemory": (
            {"volumeName": SHARED_MEMORY, "size": step.shared_memory} if step.shared_memory else {}
        ),
    }
    return {name: part for name, part in parts.items() if part}


def platform_document(executors: dict[str, Json]) -> Json:
    """Returns the document for all executors by label; empty if none has settings."""
    settings = {label: config for label, config in executors.items() if config}
    if not settings:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}
