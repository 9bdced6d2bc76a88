"""Configuration of `skymill compile`: images, resources and placement of the nodes on Kubeflow."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.raster.frozen import Frozen

Cpu = Annotated[str, Field(pattern=r"^([0-9]+m|[0-9]+(\.[0-9]+)?)$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(k|[MGTP]|[KMGTP]i)?$")]
MountPath = Annotated[str, Field(pattern=r"^/[^:]+$")]
ResourceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
#: Kubernetes counts seconds in 32 bits.
_MOST_SECONDS = (1 << 31) - 1
#: Most TPU chips of one host on GKE, by the number of a topology's dimensions: v5e and v6e have
#: two, v4 and v5p three.
_CHIPS_OF_A_HOST = {2: 8, 3: 4}


class Accelerator(Frozen):
    """Accelerators of one kind."""

    resource: str = Field(
        default="nvidia.com/gpu",
        description="Resource name of the device plugin in Kubernetes, such as nvidia.com/gpu.",
    )
    count: int = Field(default=1, ge=1, description="Number of accelerators per pod.")
    vertex_type: str | None = Field(
        default=None, description="The name for --vertex, such as NVIDIA_L4."
    )


class Tpu(Frozen):
    """TPU chips of one host on GKE; a topology that spans hosts is refused."""

    accelerator: str = Field(
        pattern=r"^tpu-[a-z0-9-]+$",
        description="The node label cloud.google.com/gke-tpu-accelerator, such as "
        "tpu-v5-lite-podslice or tpu-v6e-slice.",
    )
    topology: str = Field(
        pattern=r"^[1-9][0-9]?x[1-9][0-9]?(x[1-9][0-9]?)?$",
        description="The node label cloud.google.com/gke-tpu-topology: 1x1, 2x2, 2x4 or 2x2x1.",
    )

    @property
    def chips(self) -> int:
        """Number of chips, which is what the pod requests."""
        return math.prod(int(size) for size in self.topology.split("x"))

    @field_validator("topology")
    @classmethod
    def _one_host(cls, topology: str) -> str:
        sizes = topology.split("x")
        most = _CHIPS_OF_A_HOST[len(sizes)]
        if math.prod(int(size) for size in sizes) > most:
            raise ValueError(
                f"{topology} spans several hosts: one has up to {most} chips of a topology with "
                f"{len(sizes)} sizes. Choose a smaller one"
            )
        return topology


class Toleration(Frozen):
    """A taint that a node may have."""

    key: str = Field(min_length=1)
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="Exists: any value; Equal: the given value."
    )
    value: str = Field(default="", description="Value of the taint, with Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint. Default: every effect."
    )


class SecretVariable(Frozen):
    """An environment variable from a key of a Kubernetes secret."""

    secret: ResourceName = Field(description="The secret's name.")
    key: str = Field(min_length=1)
    variable: EnvironmentName = Field(description="The variable's name.")


class SecretVolume(Frozen):
    """A Kubernetes secret mounted as files."""

    secret: ResourceName = Field(description="The secret's name.")
    path: MountPath = Field(description="Folder in which its keys are files.")


class Volume(Frozen):
    """An existing PersistentVolumeClaim."""

    claim: ResourceName = Field(description="The claim's name.")
    path: MountPath = Field(description="Path at which it is mounted.")


class Retries(Frozen):
    """Retries of a step: their number, pauses and time limit. Kubeflow's default has no pause."""

    count: int = Field(
        default=2, ge=0, le=100, description="Number of retries after the first attempt."
    )
    backoff_s: int = Field(default=30, ge=1, description="Pause before the first retry.")
    factor: int = Field(
        default=2,
        ge=1,
        description="Factor by which each further pause is longer; a whole number.",
    )
    give_up_after_s: int = Field(
        default=604_800,
        ge=1,
        le=_MOST_SECONDS,
        description="Time limit from the start of the first attempt, for attempts and pauses "
        "together: when it expires, a running retry is ended and nothing is "
        "retried. Default: a week, so that a preempted training of several days can"
        " continue from its checkpoint.",
    )

    @field_validator("factor", mode="before")
    @classmethod
    def _whole(cls, factor: Any) -> Any:
        if isinstance(factor, float) and not factor.is_integer():
            raise ValueError(
                f"{factor} is not a whole number. Argo, which Kubeflow hands it to, reads whole "
                "numbers only: with any other a step ends at its first failure, without a retry"
            )
        return factor

    @model_validator(mode="before")
    @classmethod
    def _no_longest_pause(cls, given: Any) -> Any:
        if isinstance(given, dict) and "max_backoff_s" in given:
            raise ValueError(
                "max_backoff_s was removed: Kubeflow has no longest pause. Its backoffMaxDuration "
                "is the time since the first attempt, after which a step is ended and not tried "
                "again. Leave it out, or give that time as give_up_after_s"
            )
        return given

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        pauses = sum(self.backoff_s * self.factor**number for number in range(self.count))
        if pauses >= self.give_up_after_s:
            raise ValueError(
                f"give_up_after_s {self.give_up_after_s}: the pauses of {self.count} retries take "
                f"{pauses} s by themselves, so the last could never start. Give more time, or "
                "fewer or shorter pauses"
            )
        return self


class StepConfig(Frozen):
    """Resources and placement of a step; None leaves a setting to the cluster, or to `steps`."""

    image: str | None = Field(default=None, description="Image, by digest or fixed tag.")
    cpu_request: Cpu | None = Field(
        default=None, description="Cores that the pod reserves, such as 500m or 2."
    )
    cpu_limit: Cpu | None = Field(default=None, description="Largest number of cores of the pod.")
    memory_request: Memory | None = Field(
        default=None, description="Memory that the pod reserves, such as 4Gi."
    )
    memory_limit: Memory | None = Field(default=None, description="Largest memory of the pod.")
    accelerator: Accelerator | None = None
    tpu: Tpu | None = Field(default=None, description="TPU of GKE, instead of `accelerator`.")
    environment: dict[EnvironmentName, str] | None = Field(
        default=None, description="Environment variables; a secret never belongs here."
    )
    node_selector: dict[str, str] | None = Field(
        default=None, description="Labels of the nodes that may run the step."
    )
    labels: dict[str, str] | None = Field(default=None, description="Labels of the step's pod.")
    tolerations: tuple[Toleration, ...] | None = None
    secret_variables: tuple[SecretVariable, ...] | None = None
    secret_volumes: tuple[SecretVolume, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    shared_memory: Memory | None = Field(
        default=None, description="Size of /dev/shm, which input pipelines of GPUs may need."
    )
    retries: Retries | None = Field(
        default=None,
        description="Retries of the step. Default: 2; count 0 means none. Stop nodes have none,"
        " because their result would not change.",
    )
    timeout_s: int | None = Field(
        default=None,
        ge=1,
        le=_MOST_SECONDS,
        description="Time limit after which the step's pod is ended.",
    )
    image_pull_policy: PullPolicy | None = Field(
        default=None, description="Image pull policy of the step."
    )
    cache: bool | None = Field(
        default=None,
        description="Whether unchanged inputs reuse the last run's outputs. Always off for "
        "nodes that read state outside the pipeline (Prepare, Baseline, Push) and "
        "for mutable images.",
    )

    @model_validator(mode="after")
    def _one_accelerator(self) -> Self:
        if self.tpu and self.accelerator:
            raise ValueError("a step has an accelerator or a tpu, not both")
        return self


class Workers(Frozen):
    """Several pods that train together, instead of the Trainer step's own."""

    count: int = Field(
        ge=2, le=1000, description="Number of pods, each with the settings of nodes.Trainer."
    )
    exchange: MountPath = Field(
        description="Folder on a volume of the Trainer that all pods mount. It stores examples,"
        " checkpoints and the model during the training."
    )
    port: int = Field(default=2222, ge=1024, le=65535, description="Port on which workers listen.")
    restarts: int = Field(
        default=3,
        ge=0,
        le=100,
        description="How often all workers restart from the last checkpoint after one was lost."
        " After that the step fails, and its own retries count.",
    )


class KubeflowConfig(Frozen):
    """Settings with which `skymill compile` writes the package."""

    steps: StepConfig = Field(
        default=StepConfig(), description="Settings of every node; image is required."
    )
    nodes: dict[str, StepConfig] = Field(
        default_factory=dict,
        description="Settings of single nodes (Prepare, Ingest, Trainer, ...), which replace "
        "those in `steps`.",
    )
    workers: Workers | None = Field(
        default=None, description="Train on several pods, which needs JobSet in the cluster."
    )
    mutable_images: tuple[str, ...] = Field(
        default=(),
        description="Images without a fixed tag that are allowed nevertheless, each by its full"
        " name.",
    )
    pipeline_root: str | None = Field(
        default=None,
        pattern=r"^(minio|s3|gs)://.+",
        description="Where artifacts are stored: minio://, s3:// or gs://. Default: the "
        "cluster's own.",
    )
    image_pull_secrets: tuple[ResourceName, ...] = Field(
        default=(), description="Secrets with which the images are pulled."
    )
    image_pull_policy: PullPolicy | None = Field(
        default=None, description="Image pull policy of steps that do not set one."
    )

    def step(self, node: str) -> StepConfig:
        """Returns the settings of one node: its own values over those of every node."""
        own = self.nodes.get(node, StepConfig())
        given = {name: getattr(own, name) for name in StepConfig.model_fields}
        given = {name: value for name, value in given.items() if value is not None}
        if own.tpu or own.accelerator:  # one replaces the other
            given |= {"tpu": own.tpu, "accelerator": own.accelerator}
        merged = self.steps.model_copy(update=given)
        return merged.model_copy(update={"retries": merged.retries or Retries()})
