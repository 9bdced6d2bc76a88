"""Splits that do not leak: by place, scene, group, date or drawn areas, and what shows it."""
