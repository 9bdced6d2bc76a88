"""Runs a benchmark, whose own options follow its name: `python -m benchmarks NAME [options]`.

It uses CPUs only, and is as quiet as a command of `skymill`.
"""

import importlib
import os
import sys
import tempfile
from pathlib import Path

import absl.logging

from pipelines.cli.quiet import native_output_in, quiet_frameworks


def names() -> list[str]:
    """Lists the benchmarks: the modules beside this one whose text has their command."""
    modules = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [it.stem for it in modules if f"python -m benchmarks {it.stem}" in it.read_text()]


def main() -> None:
    """Runs the benchmark named first; its exit code is that of the program."""
    known = names()
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(f"usage: python -m benchmarks NAME [options]\nNAME is one of: {', '.join(known)}")
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {name}"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    quiet_frameworks()
    absl.logging.set_verbosity(absl.logging.ERROR)
    with tempfile.NamedTemporaryFile("r", errors="replace") as native:
        try:
            with native_output_in(native.name):
                code = importlib.import_module(f"benchmarks.{name}").main()
        except Exception:
            print(native.read(), file=sys.stderr)  # a child process may have reported the reason
            raise
    sys.exit(code)


if __name__ == "__main__":
    main()
