"""Training on several pods: the function that TFX's Trainer calls in the step that creates them."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from components.raster.errors import ConfigError
from components.raster.process_exit import EXIT_LASTING
from pipelines.kubeflow.cluster.api import KubernetesApi, connect_cluster
from pipelines.kubeflow.cluster.jobset import RUN_LABEL, Owner, jobset
from pipelines.kubeflow.contract.workers import WORKERS_KEY, WorkerPods
from pipelines.kubeflow.step.worker_set import POLL_S, WorkerSet
from trainer.data.copies import copy_examples
from trainer.run import job_of
from trainer.training.job import Job
from trainer.training.job_file import write_job
from trainer.training.train import fingerprint

#: Variables that Kubeflow's driver gives every step.
_POD, _UID = "KFP_POD_NAME", "KFP_POD_UID"


def run_fn(fn_args: FnArgs) -> None:
    """Trains on pods and leaves the model where TFX's Trainer expects it.

    Raises:
        WorkersFailed: the workers have failed for good.
        KubernetesError: the account may not create a JobSet (k8s/workers), or there is no JobSet.
    """
    pods = WorkerPods.model_validate_json((fn_args.custom_config or {})[WORKERS_KEY])
    api = connect_cluster()
    train_on_pods(job_of(fn_args), pods, api, owner_of(api, os.environ))


def owner_of(api: KubernetesApi, environment: Mapping[str, str]) -> Owner:
    """Returns the pod that this process runs in.

    Raises:
        ConfigError: the process is not a step of Kubeflow.
    """
    name, uid = environment.get(_POD, ""), environment.get(_UID, "")
    pod = api.find(api.path("v1", "pods", name)) if name else None
    if pod is None or not uid:
        raise ConfigError(
            "kubeflow.workers: this process is not a step of Kubeflow, so workers have no owner"
        )
    run_id = (pod["metadata"].get("labels") or {}).get(RUN_LABEL, "")
    return Owner(name, uid, run_id, (pod.get("spec") or {}).get("serviceAccountName") or "default")


def train_on_pods(
    job: Job, pods: WorkerPods, api: KubernetesApi, owner: Owner, poll_s: float = POLL_S
) -> None:
    """Trains a job on pods, in a folder of its own in the exchange.

    The folder is named by a digest of everything that determines the result. It stays if the
    training fails, so that the next attempt resumes from its checkpoints; else it is removed.

    Args:
        job: the training; its model and logs are written to the job's folders.
        pods: settings of the pods.
        api: the Kubernetes API of the step's namespace.
        owner: the pod of the step.
        poll_s: seconds between two polls of the pods.
    """
    digest = fingerprint(job.splits, job.image, job.config)
    folder = Path(pods.workers.exchange, f"training-{digest}")
    folder.mkdir(parents=True, exist_ok=True)
    train, evaluation = (
        copy_examples(patterns, str(folder / "examples" / name))
        for name, patterns in (("train", job.splits.train), ("eval", job.splits.evaluation))
    )
    shared = replace(
        job,
        splits=replace(job.splits, train=(train,), evaluation=(evaluation,)),
        model_dir=str(folder / "model"),
        log_dir=str(folder / "logs"),
        checkpoint_root=str(folder / "checkpoints"),
    )
    path = folder / "job.json"
    write_job(shared, path)
    command = ["python", "-m", "trainer.worker", "--job", str(path)]
    manifest = jobset(f"skymill-{digest}", pods, command, owner, EXIT_LASTING)
    WorkerSet(api, manifest, poll_s=poll_s).run()
    shutil.copytree(shared.model_dir, job.model_dir, dirs_exist_ok=True)
    shutil.copytree(shared.log_dir, job.log_dir, dirs_exist_ok=True)
    shutil.rmtree(folder)
