"""A run whenever there is new data: looking, settling, claiming, submitting, each once."""
