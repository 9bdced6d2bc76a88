"""`python -m pipelines.cli`, the same as `skymill`."""

from pipelines.cli.main import main

main()
