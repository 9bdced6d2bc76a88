"""Schema of the examples: inferred once, accepted by a person, used from then on."""
