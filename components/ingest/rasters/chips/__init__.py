"""Chips: rasters that are tiles already."""
