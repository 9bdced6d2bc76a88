"""Training steps: the trainer's own loop against Keras's `fit`, as ratios in one run.

    python -m benchmarks training [--images 4000] [--rounds 7]

Both train the same small CNN, compiled alike, on streams of the same files with the same shuffle
buffer and views, for equally many steps. Both are warm: each has trained before its clock starts.
"""

import argparse
from collections.abc import Callable

from benchmarks.sides import machine_load, take_turns

STEPS = 200
OURS, FIT = "skymill", "fit"


def main() -> None:
    """Prints the time of a step on both sides, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    from benchmarks.input_pipeline import written_examples

    with written_examples(options.images) as files, machine_load():
        sides = {OURS: _ours(files), FIT: _fit(files)}
        rounds = take_turns(sides, options.rounds)
        for side in rounds.sides:
            wall, cpu = rounds.typical(side)
            print(f"{side:>8}: {1e3 * wall / STEPS:.1f} ms a step, {1e3 * cpu / STEPS:.1f} of CPU")
        print(f"fit / skymill: {rounds.ratio(FIT, OURS)} by the clock")
        print(f"fit / skymill: {rounds.ratio(FIT, OURS, 'cpu')} by processor time")


def _ours(files: list[str]) -> Callable[[], None]:
    from benchmarks.input_pipeline import make_loop, make_stream
    from trainer.distribution.config import StrategyName
    from trainer.distribution.strategy import make_strategy

    stream = make_stream(files)
    loop = make_loop(make_strategy(StrategyName.ONE_DEVICE), next(iter(stream)))
    batches = iter(stream)

    def run() -> None:
        for _ in range(STEPS):
            int(loop.train(batches))

    run()
    return run


def _fit(files: list[str]) -> Callable[[], None]:
    from benchmarks.input_pipeline import make_stream, make_trained

    stream, model = make_stream(files), make_trained()

    def run() -> None:
        model.fit(stream, steps_per_epoch=STEPS, verbose=0)

    run()
    return run
