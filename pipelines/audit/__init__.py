"""Out-of-fold answers of models held against the labels, to find wrong ones."""
