"""Every error this package raises on purpose. The command line prints them as one line and exits with 2."""

from __future__ import annotations

__all__ = [
    "AcceleratorError",
    "FkpEdgeError",
    "InputError",
    "MissingPartError",
    "ModelFileError",
    "SourceError",
    "StreamError",
]


class FkpEdgeError(Exception):
    """Base of all errors raised on purpose; its text names the value, what was expected and the remedy."""


class InputError(FkpEdgeError, ValueError):
    """A file, folder, table or argument that cannot be used as given."""


class ModelFileError(InputError):
    """A model file that is damaged, of another shape, or not what its card says."""


class MissingPartError(FkpEdgeError, ImportError):
    """A package, library or data file that is not installed; the text has the command that installs it."""


class AcceleratorError(FkpEdgeError, OSError):
    """An Edge TPU that is absent, may not be opened, or does not work with its library or the runtime."""


class SourceError(FkpEdgeError, OSError):
    """A camera or video that is absent, busy or broken."""


class StreamError(FkpEdgeError, OSError):
    """A socket that cannot be opened, or a peer that does not speak the protocol."""
