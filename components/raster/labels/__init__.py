"""Truth for tiles: shapes on a map, rasters of classes and masks beside images, as targets."""
