"""Examples of everything that a configuration of Skymill can be extended by."""
