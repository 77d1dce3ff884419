"""A frame to an observation: the engine, tracks, refinement of a crop, smoothing and pose."""
