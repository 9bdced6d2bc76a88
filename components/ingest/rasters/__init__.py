"""Rasters of any bands, with a place: chips, scenes and STAC items."""
