"""Pictures of scenes, tiles and splits, drawn with Pillow."""
