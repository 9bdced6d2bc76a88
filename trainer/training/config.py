"""Configuration of training."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.raster.extension import extensions_of
from components.raster.frozen import Frozen
from components.raster.task import Task
from serving.contract.explanations import Explanations
from trainer.distribution.config import StrategyName
from trainer.imbalance.config import Imbalance
from trainer.models.config import Backbone as Backbone
from trainer.models.config import Model
from trainer.models.config import Preset as Preset
from trainer.models.config import SmallCnn as SmallCnn
from trainer.tasks.config import TaskOptions, options_type, tasks_with_trait
from trainer.tasks.conflicts import beside_own_loss, conflict
from trainer.tasks.measures_config import CustomLoss, CustomTrainingMetric

#: Default learning rates: of networks from scratch, of the head of a frozen backbone, and of a
#: whole pretrained network.
_FROM_SCRATCH, _HEAD, _FINE_TUNING = 2e-3, 1e-3, 3e-4

ScheduleName = Literal["cosine", "linear", "exponential", "constant"]


#: Settings that do not affect a training's weights.
_BESIDE_TRAINING = {"checkpoints", "profile", "explain", "temperature", "unknown", "conformal"}


class EarlyStopping(Frozen):
    """Ends a training when the monitored value has not improved for a number of epochs."""

    patience: int = Field(default=10, ge=1, description="Number of epochs without improvement.")
    monitor: str = Field(
        default="val_loss",
        pattern="^val_",
        description="val_loss, or val_ and the name of one of the task's metrics, such as "
        "val_accuracy.",
    )


class Stage(Frozen):
    """One stage of a training: the trained part of the network, epochs and learning rate."""

    train: Literal["head", "top", "all"] = Field(
        description="head: the head only. top: the head and the last blocks of the body. all: the "
        "whole network. Batch normalisation of pretrained weights keeps its statistics "
        "in every case."
    )
    epochs: int = Field(ge=1, description="Passes over the train split.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description=f"Peak learning rate. Default: {_HEAD:g} for the head, {_FINE_TUNING:g} for "
        f"top and all; {_FROM_SCRATCH:g} for a network without pretrained weights.",
    )
    blocks: int | None = Field(
        default=None,
        ge=1,
        description="For top: number of trained blocks, counted from the output.",
    )
    share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="For top: share of the blocks that is trained, instead of blocks.",
    )
    layer_decay: float | None = Field(
        default=None, gt=0, le=1, description="Default: layer_decay of the training."
    )
    warmup_epochs: float | None = Field(
        default=None, ge=0, description="Default: warmup_epochs of the training."
    )

    @model_validator(mode="after")
    def _top_needs_an_amount(self) -> "Stage":
        given = (self.blocks is not None) + (self.share is not None)
        if self.train == "top" and given != 1:
            raise ValueError("a stage of train: top needs either blocks or share")
        if self.train != "top" and given:
            raise ValueError(f"blocks and share are for train: top, not for {self.train}")
        return self


class CheckpointPolicy(Frozen):
    """Times at which the state of a training is saved, in addition to the end of every epoch."""

    every_seconds: float | None = Field(
        default=60.0,
        gt=0,
        description="Least time between two saved states. It is extended if saving would take "
        "more than a twentieth of the time. None: not saved by time.",
    )
    every_steps: int | None = Field(
        default=None,
        ge=1,
        description="Number of steps after which the state is saved as well. None: not saved by"
        " steps.",
    )


class EnsembleConfig(Frozen):
    """Several networks, trained one after another and served as one model."""

    members: int = Field(
        default=3,
        ge=2,
        description="Number of networks. Training time, model size and response time grow with it.",
    )


class TrainConfig(Frozen):
    """Training of a model; the data determine task and classes, `ingest.image` the input."""

    task: TaskOptions | None = Field(
        default=None,
        description="Options of the task. The labels of the source determine the task; name must "
        "agree with them. Default: the default options of that task.",
    )
    model: Model = Field(default_factory=SmallCnn, description="The network.")
    loss: CustomLoss | None = Field(
        default=None, description="Your own Keras loss, which replaces the task's."
    )
    metrics: tuple[CustomTrainingMetric, ...] = Field(
        default=(), description="Your own Keras metrics, in addition to the task's."
    )
    imbalance: Imbalance = Field(default=Imbalance(), description="Handling of rare classes.")
    batch_size: int = Field(default=32, ge=1, description="Images in a batch over all replicas.")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Number of batches whose gradients are averaged for one update: the effect of "
        "a batch that many times as large, in the memory of one. Batch normalisation "
        "computes its statistics for each batch.",
    )
    epochs: int = Field(
        default=25, ge=1, description="Passes over the train split; unused if there are stages."
    )
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="Updates in an epoch. Default: one for each whole batch of the train split.",
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        default="adamw", description="AdamW, Adam or SGD with momentum."
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description=f"Peak learning rate. Default: {_FROM_SCRATCH:g} without pretrained weights, "
        f"{_HEAD:g} for the head of a frozen backbone, {_FINE_TUNING:g} for fine-tuning "
        "a whole one.",
    )
    schedule: ScheduleName = Field(
        default="cosine",
        description="Decay of the learning rate from learning_rate to final_rate over the epochs "
        "of a stage.",
    )
    final_rate: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Learning rate at the end of a stage, as a share of learning_rate.",
    )
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        description="Epochs at the beginning of a stage in which the learning rate rises from 0.",
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Factor of the learning rate from each block of the body to the one before it. "
        "The head has the full rate, and the last block of the body this share of it.",
    )
    stages: tuple[Stage, ...] = Field(
        default=(),
        description="Fine-tuning in stages, instead of epochs, learning_rate and "
        "model.trainable. Each stage begins with the best weights so far, a new "
        "optimizer and a new schedule.",
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        description="Weight decay of kernels, not of biases and normalisation; adamw only.",
    )
    clip_norm: float | None = Field(
        default=None,
        gt=0,
        description="Largest norm of the gradient over all variables; a longer gradient is scaled "
        "to it. Default: no limit.",
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Momentum of a moving average of the weights, such as 0.99. The averaged "
        "weights are evaluated and exported. Default: no average.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the true probability that is spread over all classes.",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = Field(
        default="float32",
        description="Type in which layers compute. Weights stay float32, and the served model "
        "computes in float32. auto: float16 on GPUs, bfloat16 on TPUs and on CPUs with "
        "bfloat16 units.",
    )
    xla: Literal["auto", "on", "off"] = Field(
        default="off",
        description="Compilation of the training step with XLA. auto: on a single GPU.",
    )
    steps_per_execution: int | None = Field(
        default=None,
        ge=1,
        description="Steps that run without returning to Python. Default: 1; on a TPU up to 32.",
    )
    profile: tuple[int, int] | None = Field(
        default=None,
        description="First and last step, counted from 1, that are profiled for TensorBoard.",
    )
    checkpoints: CheckpointPolicy = Field(
        default_factory=CheckpointPolicy, description="Times at which the state is saved."
    )
    early_stopping: EarlyStopping | None = Field(
        default_factory=EarlyStopping,
        description="End of a stage before its last epoch; null: every stage runs all its epochs.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of all random numbers.")
    deterministic_ops: bool = Field(
        default=False,
        description="true: deterministic operations, which give the same result to the bit and are "
        "slower.",
    )
    strategy: StrategyName = Field(
        default=StrategyName.AUTO,
        description="Placement of the replicas. auto: all devices of the machine or cluster.",
    )
    cache: Literal["auto", "memory", "none"] = Field(
        default="auto",
        description="Where decoded images are kept. auto: in memory if they take less than "
        "cache_limit_mb, otherwise they are decoded in every epoch. memory: always "
        "in memory. none: never.",
    )
    cache_limit_mb: int = Field(
        default=2048, ge=0, description="Largest size of the cache of decoded images, in MiB."
    )
    shuffle_buffer: int = Field(
        default=4096,
        ge=1,
        description="Examples in the shuffle buffer; used if images are not kept in memory.",
    )
    temperature: Literal["auto", "off"] = Field(
        default="off",
        description="Temperature scaling of the served probabilities, for one or several "
        "classes per image. auto: fitted on the eval split, and served if a "
        "bootstrap shows that the log loss falls.",
    )
    unknown: bool = Field(
        default=False,
        description="true: a served answer includes a score of unknown imagery, and its "
        "percentile among the images of the eval split.",
    )
    conformal: float | None = Field(
        default=None,
        gt=0.5,
        lt=1,
        description="Level, such as 0.9, of the conformal set of classes, or the interval of a "
        "number, in a served answer: on average it contains the truth for this "
        "share of new images. Fitted on the eval split, by group if the split is. "
        "Default: none.",
    )
    ensemble: EnsembleConfig | None = Field(
        default=None,
        description="Training of several networks with the seeds seed, seed + 1, ..., served as"
        " one model: an answer is the mean of their probabilities or numbers and "
        "includes their disagreement. Give {} for three. Default: one network.",
    )
    explain: Explanations | None = Field(
        default=None,
        description="Explanations by the model's gradients, in the served model as the signature "
        "serving_explain. Give {} for the defaults. Default: none.",
    )

    @field_validator("profile")
    @classmethod
    def _steps_in_order(cls, steps: tuple[int, int] | None) -> tuple[int, int] | None:
        if steps is not None and not 1 <= steps[0] <= steps[1]:
            raise ValueError("give the first and the last step, counted from 1")
        return steps

    @model_validator(mode="after")
    def _xla_or_accumulate(self) -> "TrainConfig":
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
            raise ValueError(f"two metrics have the same name: {', '.join(names)}")
        return metrics

    @model_validator(mode="after")
    def _own_loss_takes_no_settings(self) -> "TrainConfig":
        changes = {
            "label_smoothing": self.label_smoothing > 0,
            "imbalance.focal_gamma": self.imbalance.focal_gamma is not None,
        }
        idle = [name for name, is_set in changes.items() if is_set]
        if self.loss is not None and idle:
            raise ValueError(
                f"loss is your own loss, which {' and '.join(idle)} cannot change: leave them out, "
                "or make them arguments of the loss"
            )
        return self

    def conflict(self, task: Task) -> str | None:
        """Returns why the configuration does not suit a task, in words; None if it does."""
        if self.temperature == "auto" and not options_type(task).scales:
            return f"temperature: auto scales the probabilities of an image, and {task} has none"
        if self.conformal is not None and task not in (known := tasks_with_trait("has_one_truth")):
            return f"train.conformal is for {' and '.join(known)}, not for {task}: leave it out"
        if self.ensemble is not None and task not in (known := tasks_with_trait("pools")):
            return (
                f"train.ensemble averages the answers of its members, and those of {task} have no "
                f"mean: leave it out; it is for {', '.join(known)}"
            )
        found = conflict(task, self.model.augment, self.imbalance)
        if found or self.loss is None:
            return found
        return beside_own_loss(task, self.task, self.imbalance)

    @property
    def members(self) -> tuple["TrainConfig", ...]:
        """The training of each network: of an ensemble, with seeds of their own."""
        if self.ensemble is None:
            return (self,)
        return tuple(
            self.model_copy(update={"ensemble": None, "seed": (self.seed + number) % 2**31})
            for number in range(self.ensemble.members)
        )

    @property
    def peak_learning_rate(self) -> float:
        """The given learning rate, or the default for what is trained."""
        return self._rate(self.learning_rate, of_head=self.model.frozen)

    def facts(self) -> dict[str, Any]:
        """Returns all that determines a training's result, as plain values; weights as digests."""
        facts = self.model_dump(mode="json", exclude=_BESIDE_TRAINING)
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
