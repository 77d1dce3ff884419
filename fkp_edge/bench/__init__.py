"""What a device takes for each stage, and what accuracy a conversion lost. Imports device and stream, no TensorFlow."""
