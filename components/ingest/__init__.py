"""Ingest: images of any source become examples and rejects; every item is accounted for."""
