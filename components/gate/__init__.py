"""Gates keep their evidence: a check publishes a report and succeeds, a stop node raises."""
