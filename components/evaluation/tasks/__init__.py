"""What is measured of each kind of task: truth, answer, and one mergeable tally, in numpy."""
