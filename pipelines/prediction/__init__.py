"""Predictions over whole archives: shards of images to a pushed model, answers to files."""
