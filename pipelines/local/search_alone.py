"""A hyperparameter search on existing examples, outside the pipeline."""

import os
from dataclasses import dataclass

import yaml

from components.raster.errors import ConfigError
from components.raster.full_disk import full_disk_as_error
from pipelines.config.tree import PipelineConfig
from pipelines.definition.temporary import own_temporary_folder
from pipelines.definition.workspace import Workspace
from pipelines.definition.written_folders import require_writable
from pipelines.local.console import output_to_log
from pipelines.local.latest import latest_examples, split_pattern
from pipelines.local.progress import NodeProgress
from pipelines.local.record import new_run_id
from trainer.tune.results import Results

LOG_FILE = "framework.log"
BEST_FILE = "best.yaml"


@dataclass(frozen=True)
class SearchResult:
    """Results of a search, and the folder that holds them."""

    results: Results
    folder: str

    @property
    def best_yaml(self) -> str:
        """Best values as YAML of a configuration."""
        return best_yaml(self.results)


@own_temporary_folder()
def search_alone(config: PipelineConfig, output: str | None = None) -> SearchResult:
    """Searches on the examples of the last run and writes the outputs of a Tuner node.

    Raises:
        ConfigError: the configuration has no `tune`, or a folder cannot be written.
        DiskFull: no space is left.
        DataError: no run has made examples.
        SkymillError: no trial succeeded.
        WorkspaceBusyError: a run is in progress in the workspace.
    """
    if config.tune is None:
        raise ConfigError("tune: is missing; define the search there (docs/tuning.md)")
    workspace = Workspace(config.workspace)
    examples = latest_examples(workspace.runs)
    folder = output or os.path.join(workspace.searches, new_run_id())
    places = {"workspace": config.workspace, "--output": folder}
    require_writable(places)
    with (
        full_disk_as_error(places),
        workspace.locked(),
        output_to_log(os.path.join(folder, LOG_FILE)) as terminal,
    ):
        progress = NodeProgress(terminal.err, os.path.join(workspace.tuning, "*", "trials.jsonl"))
        progress.show_stage("searching")
        try:
            results = _search(config, examples, folder)
        finally:
            progress.close()
    with open(os.path.join(folder, BEST_FILE), "w", encoding="utf-8") as file:
        file.write(best_yaml(results))
    return SearchResult(results, folder)


def best_yaml(results: Results) -> str:
    """Returns the best trial's values as the section `train` of a configuration."""
    tree: dict[str, object] = {}
    for path, value in results.completed[0].values.items():
        *parents, name = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment]
        node[name] = value
    text: str = yaml.safe_dump({"train": tree}, sort_keys=False)
    return text


def _search(config: PipelineConfig, examples: str, folder: str) -> Results:
    from trainer.training.splits import make_splits
    from trainer.tune.search import Search
    from trainer.tune.tuner import ChiefTuner

    assert config.tune is not None
    train, evaluation = (split_pattern(examples, name) for name in ("train", "eval"))
    search = Search(
        splits=make_splits((train,), (evaluation,), config.ingest.task),
        image=config.ingest.image,
        train=config.train,
        tune=config.tune,
    )
    workers = config.tune.workers
    root = workers.exchange if workers else Workspace(config.workspace).tuning
    tuner = ChiefTuner(search, root)
    tuner.search()
    tuner.publish(folder)
    results = tuner.results()
    tuner.forget()
    return results
