"""Pipeline nodes, one folder each, and the imaging domain that they share."""
