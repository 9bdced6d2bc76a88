"""The command line `skymill`; `main` is its entry point."""

from pipelines.cli.main import main

__all__ = ["main"]
