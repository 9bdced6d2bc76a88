"""Served contract beside a model: its inputs, outputs and classes."""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from components.raster.band_scalings import BandScalings
from components.raster.errors import DataError
from components.raster.frozen import Frozen
from components.raster.image import ImageSpec
from components.raster.scaling import Scaling
from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES, Task
from components.raster.text import ClassName
from serving.contract.explanations import Explanations
from serving.contract.names import INPUT_OF
from serving.contract.needs import TrainedTiles
from serving.contract.reliability import Conformal, Ensemble
from serving.tasks.base import Form
from serving.tasks.registry import outputs_of, prediction_type

#: Path of the contract in a model's folder; TensorFlow Serving ignores it.
CONTRACT_PATH = "assets.extra/contract.json"
#: Path of the tuned values beside a tuned model: those of its training, by config path.
TUNED_PATH = "assets.extra/tuned.json"
#: Fields that are left out of the JSON of a model without them.
_OPTIONAL = ("explanations", "temperature", "unknown", "conformal", "ensemble")


class Contract(Frozen):
    """Inputs of a model, and the form of its answer.

    Attributes:
        task: of the model; default: one class per image.
        image: fitting of an image of any shape to the model.
        classes: the names, in the order of their indices; empty for regression.
        scalings: for rasters learnt as stored numbers: scale and offset of each band that had
            either; tiles that state others are refused. None: unknown, or `image.values` says what
            to send.
        threshold: for multi-label models: the probability from which a class counts as present.
        signatures: the name of the one input, by signature.
        outputs: outputs of every signature; default: those of the task.
        tiles: for rasters: the tiles that the model learnt from; None if unknown.
        temperature: the number by which logits are divided before they become probabilities; None
            leaves them unchanged.
        unknown: kind of the score of unknown imagery in answers: distance from the nearest class,
            or from all training examples if they have no single class.
        conformal: of the sets or intervals in answers.
        ensemble: of a model of several members, whose disagreement is in answers.
        explanations: of models that explain their answers (`serving_explain`).

    >>> image = ImageSpec(height_px=64, width_px=64)
    >>> contract = Contract(task="single_label", image=image, classes=("field", "water"))
    >>> contract.outputs
    ('class', 'probabilities', 'classes')
    >>> Contract.model_validate_json(contract.model_dump_json()) == contract
    True
    """

    task: Task = SINGLE_LABEL
    image: ImageSpec
    classes: tuple[ClassName, ...]
    scalings: dict[str, tuple[float, float]] | None = None
    threshold: float = Field(default=0.5, gt=0, lt=1)
    signatures: dict[str, str] = Field(default_factory=lambda: dict(INPUT_OF))
    outputs: tuple[str, ...] = Field(default_factory=lambda data: outputs_of(data["task"]))
    tiles: TrainedTiles | None = None
    explanations: Explanations | None = None
    temperature: float | None = Field(default=None, gt=0)
    unknown: Literal["by_class", "overall"] | None = None
    conformal: Conformal | None = None
    ensemble: Ensemble | None = None

    @model_validator(mode="after")
    def _classes_go_with_the_task(self) -> Self:
        if not self.classes and self.task not in WITHOUT_CLASSES:
            raise ValueError(f"classes is empty: a model of {self.task} answers with one or more")
        return self

    @property
    def form(self) -> Form:
        """Part of an image to which an answer of the model belongs."""
        return prediction_type(self.task).form

    @property
    def band_scalings(self) -> BandScalings | None:
        """The `scalings` as parsed values."""
        if self.scalings is None:
            return None
        return {band: Scaling(*pair) for band, pair in self.scalings.items()}

    def to_json(self) -> str:
        """Returns the text of contract.json."""
        tree = self.model_dump(mode="json")
        for name in _OPTIONAL:
            if tree[name] is None:
                del tree[name]
        return json.dumps(tree, indent=2) + "\n"


def read_contract(model_dir: Path) -> Contract:
    """Reads the contract of the model in a folder (the one that holds saved_model.pb).

    Raises:
        DataError: it is missing or invalid.

    >>> read_contract(Path("/nowhere"))
    Traceback (most recent call last):
        ...
    components.raster.errors.DataError: /nowhere/assets.extra/contract.json is not a contract ...
    """
    path = model_dir / CONTRACT_PATH
    try:
        return Contract.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is not a contract of a served model ({error}); "
            "was the model exported by the trainer?"
        ) from error
