"""One search as its chief and its workers know it, and where it keeps what it has found."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from components.raster.image import ImageSpec
from trainer.training.config import TrainConfig
from trainer.training.splits import Splits
from trainer.tune.config import TuneConfig
from trainer.tune.objective import Objective, objective_of

_SEARCH_FILE = "search.json"
#: What of a search says how it is run and not what comes out.
_NO_FACTS = {"parallel", "workers"}


@dataclass(frozen=True)
class Search:
    """All that a worker needs to run trials.

    Attributes:
        splits: to train on and to judge by; the test split has no place here.
    """

    splits: Splits
    image: ImageSpec
    train: TrainConfig
    tune: TuneConfig

    @property
    def objective(self) -> Objective:
        """What a trial is judged by."""
        return objective_of(self.tune, self.train)

    @property
    def digest(self) -> str:
        """Names a search by all that decides its result, so that only the same one is resumed."""
        facts = json.loads(self.to_json())
        facts["train"] = self.train.facts()
        facts["tune"] = {k: v for k, v in facts["tune"].items() if k not in _NO_FACTS}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """A text that `from_json` takes back."""
        parts: dict[str, Any] = {
            "splits": asdict(self.splits),
            "image": self.image.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "tune": self.tune.model_dump(mode="json"),
        }
        return json.dumps(parts, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Search":
        """The search that `to_json` wrote."""
        tree = json.loads(text)
        return cls(
            splits=Splits(**{name: _tupled(value) for name, value in tree["splits"].items()}),
            image=ImageSpec.model_validate(tree["image"]),
            train=TrainConfig.model_validate(tree["train"]),
            tune=TuneConfig.model_validate(tree["tune"]),
        )


@dataclass(frozen=True)
class Places:
    """The layout of a search's folder; KerasTuner's own files lie there as well.

    Attributes:
        root: the folder of all searches.
        name: of this one.
    """

    root: str
    name: str

    @property
    def folder(self) -> str:
        """Of this search."""
        return os.path.join(self.root, self.name)

    @property
    def current(self) -> str:
        """Which of the searches below the root is under way, for workers on other machines."""
        return os.path.join(self.root, "current")

    @property
    def search(self) -> str:
        """What a worker reads."""
        return os.path.join(self.folder, _SEARCH_FILE)

    @property
    def finished(self) -> str:
        """A JSON line for every trial as it ends, which a command line can follow."""
        return os.path.join(self.folder, "trials.jsonl")

    @property
    def fatal(self) -> str:
        """Why the search cannot go on, from the worker that found out."""
        return os.path.join(self.folder, "fatal.txt")

    def trial(self, trial_id: str) -> str:
        """KerasTuner's folder of a trial."""
        return os.path.join(self.folder, f"trial_{trial_id}")

    def values(self, trial_id: str) -> str:
        """KerasTuner's file of a trial, which has its values as they were drawn."""
        return os.path.join(self.trial(trial_id), "trial.json")

    def outcome(self, trial_id: str) -> str:
        """What came of a trial, with the decimals that KerasTuner's protocol loses."""
        return os.path.join(self.trial(trial_id), "outcome.json")

    def given_back(self, trial_id: str) -> str:
        """Is there when a worker was asked to stop: that says nothing against the trial."""
        return os.path.join(self.trial(trial_id), "given_back")

    def logs(self, trial_id: str) -> str:
        """The learning curve of a trial."""
        return os.path.join(self.folder, "logs", trial_id)

    def checkpoints(self, trial_id: str) -> str:
        """What a trial goes on from; those that Hyperband lets go on share their first one's."""
        return os.path.join(self.folder, "checkpoints", trial_id)

    def worker_log(self, worker: str) -> str:
        """What a worker of this machine printed."""
        return os.path.join(self.folder, "workers", f"{worker}.log")


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
