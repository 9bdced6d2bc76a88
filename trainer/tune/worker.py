"""A worker of a search: `python -m trainer.tune.worker FOLDER [NAME]`.

FOLDER is the folder of the chief's searches, and NAME the search to work for; by default the one
that the chief announced there.

KerasTuner's variables name the chief's address and this worker: KERASTUNER_ORACLE_IP,
KERASTUNER_ORACLE_PORT and KERASTUNER_TUNER_ID. A worker that restarts under its name gets the
trial that it did not end, and resumes from that trial's last checkpoint.
"""

import argparse
import os
import sys
import threading
from pathlib import Path

_PATIENCE_S = 3600


def main() -> None:
    """Waits for the chief, then runs trials until it has none left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", nargs="?")
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="End at once when standard input closes."
    )
    parser.add_argument("--patience-s", type=float, default=_PATIENCE_S)
    args = parser.parse_args()
    if args.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    _wait_for_chief(args.patience_s)

    from components.raster.tensorflow_import import import_tensorflow

    import_tensorflow()
    from keras_tuner.errors import FatalError

    from trainer.tune.exchange import announced
    from trainer.tune.search import Search, SearchPaths
    from trainer.tune.tuner import WorkerTuner

    # The chief writes its files before it answers, so this must come after the wait.
    paths = SearchPaths(str(args.folder), args.name) if args.name else announced(args.folder)
    search = Search.from_json(Path(paths.search).read_text(encoding="utf-8"))
    try:
        WorkerTuner(search, paths).search()
    except FatalError as error:
        sys.exit(str(error))


def _wait_for_chief(patience_s: float) -> None:
    import grpc

    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=patience_s)
        except grpc.FutureTimeoutError:
            sys.exit(f"{address}: no chief answered for {patience_s:g} s")


def _end_with_stdin() -> None:
    """Ends the process with its stdin: a killed chief cannot end workers, but its pipe closes."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
