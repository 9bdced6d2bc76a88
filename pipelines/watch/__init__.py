"""The watch, which starts one run for each new state of the data."""
