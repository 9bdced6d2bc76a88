"""The schema of the examples: inferred once, accepted by a person, used ever after."""
