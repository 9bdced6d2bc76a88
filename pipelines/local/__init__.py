"""Runs on this machine: execution, records, progress on the terminal, summaries."""
