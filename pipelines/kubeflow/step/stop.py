"""The step after Prepare: stops the run on a failure that Prepare has published.

    python -m pipelines.kubeflow.step.stop --executor-input JSON

It has no retries, so that a failure which another attempt would repeat ends the run at once.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from pipelines.kubeflow.contract.prepared import FAILURE


def main(argv: Sequence[str]) -> int:
    """Returns 1, with the failure on standard error, if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executor-input", required=True)
    given = json.loads(parser.parse_args(argv).executor_input)
    failure = given["inputs"]["parameterValues"][FAILURE]
    if failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
