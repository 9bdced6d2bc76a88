"""One page of a run: what went in, how training went, what was measured, what the gates say."""
