"""Maps of whole scenes: tiles to a model, its answers blended, outputs on the scene's own grid."""
