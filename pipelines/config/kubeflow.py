"""Where and with what the nodes run on Kubeflow: the part of the configuration for `compile`."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen

Cpu = Annotated[str, Field(pattern=r"^([0-9]+m|[0-9]+(\.[0-9]+)?)$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(k|[MGTP]|[KMGTP]i)?$")]
MountPath = Annotated[str, Field(pattern=r"^/[^:]+$")]
ResourceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Accelerator(Frozen):
    """Accelerators of one kind."""

    resource: str = Field(
        default="nvidia.com/gpu", description="What the device plugin offers, as Kubernetes has it."
    )
    count: int = Field(default=1, ge=1)
    vertex_type: str | None = Field(
        default=None, description="The name for --vertex, such as NVIDIA_L4."
    )


class Toleration(Frozen):
    """A taint that a node may have."""

    key: str = Field(min_length=1)
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class SecretVariable(Frozen):
    """An environment variable from a key of a Kubernetes secret."""

    secret: ResourceName
    key: str = Field(min_length=1)
    variable: EnvironmentName


class SecretVolume(Frozen):
    """A Kubernetes secret as files."""

    secret: ResourceName
    path: MountPath


class Volume(Frozen):
    """A PersistentVolumeClaim that exists already."""

    claim: ResourceName
    path: MountPath


class Retries(Frozen):
    """How often a step is tried again. Kubeflow's own backoff would be none at all."""

    count: int = Field(default=2, ge=0)
    backoff_s: int = Field(default=30, ge=1)
    factor: float = Field(default=2.0, ge=1)
    max_backoff_s: int = Field(default=600, ge=1)


class StepConfig(Frozen):
    """What a step gets; None leaves it to the cluster, or, for one node, to `steps`."""

    image: str | None = Field(default=None, description="By digest or fixed tag.")
    cpu_request: Cpu | None = None
    cpu_limit: Cpu | None = None
    memory_request: Memory | None = None
    memory_limit: Memory | None = None
    accelerator: Accelerator | None = None
    environment: dict[EnvironmentName, str] | None = None
    node_selector: dict[str, str] | None = None
    labels: dict[str, str] | None = Field(default=None, description="Of the step's pod.")
    tolerations: tuple[Toleration, ...] | None = None
    secret_variables: tuple[SecretVariable, ...] | None = None
    secret_volumes: tuple[SecretVolume, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    shared_memory: Memory | None = Field(
        default=None, description="Size of /dev/shm, which input pipelines of GPUs may need."
    )
    retries: Retries | None = Field(
        default=None,
        description="Default: 2; count 0 is none. Stop nodes have none: they would say the same.",
    )
    timeout_s: int | None = Field(default=None, ge=1, description="The step's pod ends by then.")
    cache: bool | None = Field(
        default=None,
        description="Whether unchanged inputs take the last run's outputs. Off in any case for "
        "what looks outside of the pipeline (Prepare, Baseline, Push) and for mutable images.",
    )


class KubeflowConfig(Frozen):
    """How `skymill compile` writes the package."""

    steps: StepConfig = Field(
        default=StepConfig(), description="For every node; image is required."
    )
    nodes: dict[str, StepConfig] = Field(
        default_factory=dict,
        description="By node (Prepare, Ingest, Trainer, ...): what is given replaces `steps`.",
    )
    mutable_images: tuple[str, ...] = Field(
        default=(),
        description="Images without a fixed tag to use all the same, each by its whole name.",
    )
    pipeline_root: str | None = Field(
        default=None,
        pattern=r"^(minio|s3|gs)://.+",
        description="Where artifacts go: minio://, s3:// or gs://. Default: the cluster's own.",
    )
    image_pull_secrets: tuple[ResourceName, ...] = ()
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None

    def step(self, node: str) -> StepConfig:
        """What one node gets: its own values over those of every node."""
        own = self.nodes.get(node, StepConfig())
        given = {name: getattr(own, name) for name in StepConfig.model_fields}
        given = {name: value for name, value in given.items() if value is not None}
        merged = self.steps.model_copy(update=given)
        return merged.model_copy(update={"retries": merged.retries or Retries()})
