"""Contract between the compiler, which writes it, and steps and clients, which read it."""
