"""A run: what it is told, and what joins a source, the engine and the streams."""
