"""Model card of a pushed version: for people, for machines, and as a STAC item."""
