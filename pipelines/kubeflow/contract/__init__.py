"""Names and types that the compiler writes and a step or a client reads."""
