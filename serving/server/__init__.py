"""The embedded prediction server: TensorFlow Serving's API for machines without Docker."""
