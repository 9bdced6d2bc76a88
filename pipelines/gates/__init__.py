"""The user's own gates: functions from a run's measurements to findings."""
