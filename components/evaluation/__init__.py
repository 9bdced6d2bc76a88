"""The candidate against the test split, its thresholds and the version being served."""
