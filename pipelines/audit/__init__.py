"""Finds wrong labels by comparing them with the out-of-fold answers of models."""
