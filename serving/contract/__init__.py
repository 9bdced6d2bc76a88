"""The served contract: names, a model's needs, and the types of its predictions."""
