"""Labels of scenes: one module for each kind, and the registry of kinds."""
