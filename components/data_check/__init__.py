"""Anomalies, drift and skew, judged: which of them stop a run, and the examples that offend."""
