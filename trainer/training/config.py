"""Configuration of training."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.raster.extension import extensions_of
from components.raster.frozen import Frozen
from components.raster.task import Task
from trainer.distribution.config import StrategyName
from trainer.imbalance.config import Imbalance
from trainer.models.config import Backbone as Backbone
from trainer.models.config import Model
from trainer.models.config import Preset as Preset
from trainer.models.config import SmallCnn as SmallCnn
from trainer.tasks.config import TaskOptions
from trainer.tasks.conflicts import beside_own_loss, conflict
from trainer.tasks.measures_config import CustomLoss, CustomTrainingMetric

#: Default learning rates: of networks from scratch, of the head of a frozen backbone, and of all of
#: a pretrained network.
_FROM_SCRATCH, _HEAD, _FINE_TUNING = 2e-3, 1e-3, 3e-4

ScheduleName = Literal["cosine", "linear", "exponential", "constant"]


class EarlyStopping(Frozen):
    """Stop when the monitored value has not improved for a number of epochs."""

    patience: int = Field(default=10, ge=1, description="Epochs without improvement.")
    monitor: str = Field(
        default="val_loss",
        pattern="^val_",
        description="val_loss, or val_ and the name of one of the task's metrics, such as "
        "val_accuracy.",
    )


class Stage(Frozen):
    """One part of a training: what learns of the network, for how long, and how fast."""

    train: Literal["head", "top", "all"] = Field(
        description="head: the body stays as it is. top: also its last blocks. all: everything; "
        "batch normalisation of pretrained weights stays as it was made in any case."
    )
    epochs: int = Field(ge=1, description="Passes over the train split.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description=f"None: {_HEAD:g} for the head, {_FINE_TUNING:g} for top and all; "
        f"{_FROM_SCRATCH:g} from scratch.",
    )
    blocks: int | None = Field(
        default=None, ge=1, description="top: how many blocks, counted from the output."
    )
    share: float | None = Field(
        default=None, gt=0, le=1, description="top: which share of the blocks instead."
    )
    layer_decay: float | None = Field(
        default=None, gt=0, le=1, description="None: that of the training."
    )
    warmup_epochs: float | None = Field(
        default=None, ge=0, description="None: that of the training."
    )

    @model_validator(mode="after")
    def _top_says_how_much(self) -> "Stage":
        given = (self.blocks is not None) + (self.share is not None)
        if self.train == "top" and given != 1:
            raise ValueError("a stage of train: top needs either blocks or share")
        if self.train != "top" and given:
            raise ValueError(f"blocks and share are for train: top, not for {self.train}")
        return self


class CheckpointPolicy(Frozen):
    """When the state of a training is saved, beside the end of every epoch."""

    every_seconds: float | None = Field(
        default=60.0,
        gt=0,
        description="At least as long apart, and never so often that saving takes more than a "
        "twentieth of the time; None: not by time.",
    )
    every_steps: int | None = Field(
        default=None, ge=1, description="So many steps apart as well; None: not by steps."
    )


class TrainConfig(Frozen):
    """How a model is trained. Task and classes come from the data, the shape from its spec."""

    task: TaskOptions | None = Field(
        default=None,
        description="Options of the task. Which task it is, the source's labels say, and its name "
        "here must be the same; default: its defaults.",
    )
    model: Model = Field(default_factory=SmallCnn, description="The network.")
    loss: CustomLoss | None = Field(
        default=None, description="A Keras loss of one's own, in place of the task's."
    )
    metrics: tuple[CustomTrainingMetric, ...] = Field(
        default=(), description="Keras metrics of one's own, beside the task's."
    )
    imbalance: Imbalance = Imbalance()
    batch_size: int = Field(default=32, ge=1, description="Global: over all replicas.")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Batches to an update, which is then that of one so many times as large, in "
        "the memory of one. Batch normalisation sees each batch by itself.",
    )
    epochs: int = Field(
        default=25, ge=1, description="Passes over the train split, without stages."
    )
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="Updates. None: as many as the train split has whole batches for.",
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        default="adamw", description="AdamW, Adam or SGD with momentum."
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description=f"None: {_FROM_SCRATCH:g} for what starts from scratch, {_HEAD:g} for the head "
        f"of a frozen backbone, {_FINE_TUNING:g} for fine-tuning all of one.",
    )
    schedule: ScheduleName = Field(
        default="cosine",
        description="How the rate falls from learning_rate over the epochs of a stage.",
    )
    final_rate: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="The rate at a stage's end as a share of its learning_rate.",
    )
    warmup_epochs: float = Field(
        default=0.0, ge=0, description="Over which the rate rises at the begin of a stage."
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Factor of the learning rate from each block of the body to the one before; "
        "the head has the full rate, the body's last block this share of it.",
    )
    stages: tuple[Stage, ...] = Field(
        default=(),
        description="Fine-tuning in stages, in place of epochs, learning_rate and model.trainable. "
        "Each begins with the best weights so far, and a fresh optimizer and schedule.",
    )
    weight_decay: float = Field(
        default=0.01, ge=0, description="adamw only; of kernels, not of biases and norms."
    )
    clip_norm: float | None = Field(
        default=None, gt=0, description="Longest gradient, over all variables together."
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Momentum of a moving average of the weights, such as 0.99; the average is "
        "what is evaluated and exported.",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the truth that is spread over all classes."
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = Field(
        default="float32",
        description="What layers compute in; weights stay float32, and the model is served in it. "
        "auto: float16 on GPUs and bfloat16 on TPUs and CPUs that have units for it.",
    )
    xla: Literal["auto", "on", "off"] = Field(
        default="off", description="Compile the step with XLA; auto: on a single GPU."
    )
    steps_per_execution: int | None = Field(
        default=None,
        ge=1,
        description="Steps that run without returning to Python. None: 1; on a TPU up to 32.",
    )
    profile: tuple[int, int] | None = Field(
        default=None,
        description="The first and the last step, counted from 1, to profile for TensorBoard.",
    )
    checkpoints: CheckpointPolicy = Field(default_factory=CheckpointPolicy)
    early_stopping: EarlyStopping | None = Field(default_factory=EarlyStopping)
    seed: int = Field(default=0, ge=0, lt=2**31, description="Decides every random number.")
    deterministic_ops: bool = Field(default=False, description="Same result to the bit; slower.")
    strategy: StrategyName = Field(
        default=StrategyName.AUTO,
        description="Where replicas are placed; auto takes what the machine has.",
    )
    cache: Literal["auto", "memory", "none"] = Field(
        default="auto", description="auto: decoded images stay in memory below cache_limit_mb."
    )
    cache_limit_mb: int = Field(
        default=2048, ge=0, description="Most memory of the cache of decoded images."
    )
    shuffle_buffer: int = Field(
        default=4096, ge=1, description="Examples; only where images do not stay in memory."
    )

    @field_validator("profile")
    @classmethod
    def _steps_in_order(cls, steps: tuple[int, int] | None) -> tuple[int, int] | None:
        if steps is not None and not 1 <= steps[0] <= steps[1]:
            raise ValueError("give the first and the last step, counted from 1")
        return steps

    @model_validator(mode="after")
    def _passes_are_not_compiled_together(self) -> "TrainConfig":
        if self.xla == "on" and self.accumulate > 1:
            raise ValueError(
                "xla: on compiles the batches of an update into one program, which may hold all "
                "of them at once; use xla: off, or accumulate: 1"
            )
        return self

    @field_validator("metrics")
    @classmethod
    def _names_differ(
        cls, metrics: tuple[CustomTrainingMetric, ...]
    ) -> tuple[CustomTrainingMetric, ...]:
        names = [each.name for each in metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"two metrics have one name: {', '.join(names)}")
        return metrics

    @model_validator(mode="after")
    def _a_loss_is_whole(self) -> "TrainConfig":
        changes = {
            "label_smoothing": self.label_smoothing > 0,
            "imbalance.focal_gamma": self.imbalance.focal_gamma is not None,
        }
        idle = [name for name, is_set in changes.items() if is_set]
        if self.loss is not None and idle:
            raise ValueError(
                f"loss is one of your own, which {' and '.join(idle)} cannot change: leave it out, "
                "or have the loss take it as an argument"
            )
        return self

    def conflict(self, task: Task) -> str | None:
        """Returns why the configuration does not suit a task, in words; None if it does."""
        found = conflict(task, self.model.augment, self.imbalance)
        if found or self.loss is None:
            return found
        return beside_own_loss(task, self.task, self.imbalance)

    @property
    def peak_learning_rate(self) -> float:
        """The given learning rate, or the default for what is trained."""
        return self._rate(self.learning_rate, of_head=self.model.frozen)

    def facts(self) -> dict[str, Any]:
        """Returns all that decides a training's result, as a plain value; weights as digests."""
        facts = self.model_dump(mode="json", exclude={"checkpoints", "profile"})
        facts["model"].update(self.model.contents())
        code = {key: each.identity(key) for key, each in extensions_of(self, "train")}
        return {**facts, "code": code} if code else facts

    @property
    def monitor(self) -> str:
        """The value of the learning curve that selects the best epoch."""
        return self.early_stopping.monitor if self.early_stopping else "val_loss"

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages, or the single one that epochs, learning_rate and model.trainable define."""
        whole = Stage(
            train="head" if self.model.frozen else "all",
            epochs=self.epochs,
            learning_rate=self.peak_learning_rate,
        )
        return self.stages or (whole,)

    def peak_of(self, stage: Stage) -> float:
        """Returns the highest learning rate of a stage."""
        return self._rate(stage.learning_rate, of_head=stage.train == "head")

    def _rate(self, given: float | None, of_head: bool) -> float:
        """Returns the given learning rate, or the default for what is trained."""
        if given is not None:
            return given
        if not self.pretrained:
            return _FROM_SCRATCH
        return _HEAD if of_head else _FINE_TUNING

    @property
    def pretrained(self) -> bool:
        """True if the body is loaded with weights."""
        return self.model.pretrained

    @model_validator(mode="after")
    def _exponential_needs_an_end(self) -> "TrainConfig":
        if self.schedule == "exponential" and self.final_rate == 0:
            raise ValueError("schedule: exponential never reaches 0; give final_rate, such as 0.01")
        return self
