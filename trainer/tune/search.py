"""Description of a search for its chief and workers, and the layout of its folder."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from components.raster.image import ImageSpec
from trainer.training.config import TrainConfig
from trainer.training.splits import Splits
from trainer.tune.config import TuneConfig
from trainer.tune.objective import TrialObjective, trial_objective

_SEARCH_FILE = "search.json"
#: Fields that affect how a search runs, but not its result.
_NO_FACTS = {"parallel", "workers"}


@dataclass(frozen=True)
class Search:
    """All data that a worker needs to run trials.

    Attributes:
        splits: the train and eval splits; the test split is never used.
    """

    splits: Splits
    image: ImageSpec
    train: TrainConfig
    tune: TuneConfig

    @property
    def objective(self) -> TrialObjective:
        """The metric that ranks trials."""
        return trial_objective(self.tune, self.train)

    @property
    def digest(self) -> str:
        """Digest of all that determines a search's result; only an equal search is resumed."""
        facts = json.loads(self.to_json())
        facts["train"] = self.train.facts()
        facts["tune"] = {k: v for k, v in facts["tune"].items() if k not in _NO_FACTS}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Returns a text that `from_json` reads."""
        parts: dict[str, Any] = {
            "splits": asdict(self.splits),
            "image": self.image.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "tune": self.tune.model_dump(mode="json"),
        }
        return json.dumps(parts, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Search":
        """Returns the search that `to_json` wrote."""
        tree = json.loads(text)
        return cls(
            splits=Splits(**{name: _tupled(value) for name, value in tree["splits"].items()}),
            image=ImageSpec.model_validate(tree["image"]),
            train=TrainConfig.model_validate(tree["train"]),
            tune=TuneConfig.model_validate(tree["tune"]),
        )


@dataclass(frozen=True)
class SearchPaths:
    """Layout of a search's folder, which also holds KerasTuner's own files.

    Attributes:
        root: the folder of all searches.
        name: name of this search.
    """

    root: str
    name: str

    @property
    def folder(self) -> str:
        """Folder of this search."""
        return os.path.join(self.root, self.name)

    @property
    def current(self) -> str:
        """File that names the current search below the root, for workers on other machines."""
        return os.path.join(self.root, "current")

    @property
    def search(self) -> str:
        """File with the search's description for workers."""
        return os.path.join(self.folder, _SEARCH_FILE)

    @property
    def finished(self) -> str:
        """File with a JSON line for every trial as it ends, for a command line to follow."""
        return os.path.join(self.folder, "trials.jsonl")

    @property
    def fatal(self) -> str:
        """File with the reason why the search cannot continue, from the worker that found it."""
        return os.path.join(self.folder, "fatal.txt")

    def trial(self, trial_id: str) -> str:
        """Returns KerasTuner's folder of a trial."""
        return os.path.join(self.folder, f"trial_{trial_id}")

    def values(self, trial_id: str) -> str:
        """Returns KerasTuner's file of a trial, with its values as drawn."""
        return os.path.join(self.trial(trial_id), "trial.json")

    def outcome(self, trial_id: str) -> str:
        """Returns the file of a trial's outcome, with decimals that KerasTuner's protocol loses."""
        return os.path.join(self.trial(trial_id), "outcome.json")

    def given_back(self, trial_id: str) -> str:
        """Returns the marker of a stopped worker's trial, which does not count as a failure."""
        return os.path.join(self.trial(trial_id), "given_back")

    def logs(self, trial_id: str) -> str:
        """Returns the folder of a trial's learning curve."""
        return os.path.join(self.folder, "logs", trial_id)

    def checkpoints(self, trial_id: str) -> str:
        """Returns the folder of a trial's checkpoints, which Hyperband's continuations share."""
        return os.path.join(self.folder, "checkpoints", trial_id)

    def worker_log(self, worker: str) -> str:
        """Returns the file with the output of a worker on this machine."""
        return os.path.join(self.folder, "workers", f"{worker}.log")


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
