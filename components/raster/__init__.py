"""The imaging domain: plain values and pure functions, free of TFX, Beam and Keras."""
