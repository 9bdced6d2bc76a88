"""Common parts of the pipeline's nodes: the base of executors, and the files between nodes."""
