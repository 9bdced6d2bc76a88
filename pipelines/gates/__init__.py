"""Gates of the user's own: functions of what a run has measured, which give findings."""
