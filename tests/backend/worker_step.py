"""The Trainer step of a training on several pods: `python -m tests.backend.worker_step FOLDER`.

FOLDER has the examples of the step, and its custom_config as `step.json`; model and logs go there.
Around the function that TFX's Trainer calls is what the entry point of a step does for it.
"""

import json
import sys
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from pipelines.kubeflow.step.entrypoint import clean_up_on_sigterm, guarded
from pipelines.kubeflow.step.workers import run_fn


def main(folder: Path) -> int:
    """Trains, and returns the exit code of the step."""
    clean_up_on_sigterm()
    given = FnArgs(
        train_files=[f"{folder}/examples/Split-train/*"],
        eval_files=[f"{folder}/examples/Split-eval/*"],
        serving_model_dir=str(folder / "model"),
        model_run_dir=str(folder / "run"),
        custom_config=json.loads((folder / "step.json").read_text()),
    )
    return guarded(lambda: run_fn(given))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
