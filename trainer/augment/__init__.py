"""Random augmentation of training batches: pixels change, and the targets follow them."""
