"""What the command line and the configuration both say by default, and their limits. Imports no library."""

from __future__ import annotations

__all__ = ["DEFAULT_STREAM", "MAX_FACES", "MAX_THREADS", "SEARCHES"]

DEFAULT_STREAM = "tcp://127.0.0.1:8765"
MAX_THREADS = 64
"""CPU threads of the network: the runtime crashes on thousands."""
MAX_FACES = 4
"""Faces followed at a time, as the engine says, which imports NumPy; a test compares."""
SEARCHES = ("both", "haar", "finder")
"""What may propose faces, as the search says, which imports OpenCV; a test compares."""
