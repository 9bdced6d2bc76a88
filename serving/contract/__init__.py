"""The served contract: names, what a model needs, and the types of its answers."""
