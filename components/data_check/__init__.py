"""Data gate: anomalies, drift and skew, which of them stop a run, and the offending examples."""
