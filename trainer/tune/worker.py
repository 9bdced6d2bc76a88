"""A worker of a search: `python -m trainer.tune.worker SEARCH.json`.

KerasTuner's variables say where the chief is and who this worker is: KERASTUNER_ORACLE_IP,
KERASTUNER_ORACLE_PORT and KERASTUNER_TUNER_ID. A worker that starts again under its name is given
the trial that it did not end, and goes on from that trial's last checkpoint.
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
    parser.add_argument("search", help="The search's file, which the chief writes.")
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="End at once when standard input closes."
    )
    parser.add_argument("--patience-s", type=float, default=_PATIENCE_S)
    args = parser.parse_args()
    if args.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    _wait_for_chief(args.patience_s)

    from keras_tuner.errors import FatalError

    from trainer.tune.search import Places, Search
    from trainer.tune.tuner import WorkerTuner

    # Only now: the chief writes the file before it answers.
    path = Path(args.search).resolve()
    search = Search.from_json(path.read_text(encoding="utf-8"))
    places = Places(str(path.parent.parent), path.parent.name)
    try:
        WorkerTuner(search, places).search()
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
    """A chief that is killed cannot end its workers, but its end of the pipe closes."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
