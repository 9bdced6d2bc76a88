"""Leak-free splits: by place, scene, group, date or drawn areas, and their report."""
