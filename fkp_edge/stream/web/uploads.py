"""A photograph that somebody drops on the page -> its faces. A process of its own decodes it, and ends with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Face
from fkp_edge.data.decoder import UPLOADS, Decoder
from fkp_edge.errors import InputError
from fkp_edge.stream.protocol.conversion import from_face
from fkp_edge.stream.protocol.messages import FaceMessage

__all__ = ["Find", "Photographs"]

Find = Callable[[NDArray[np.uint8]], Sequence[Face]]
"""Faces in a grey picture (H, W)."""


class Photographs:
    """Looks for faces in photographs, one after the other."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._decoder = Decoder(UPLOADS)
        self._closed = False

    def faces(self, coded: bytes) -> list[FaceMessage]:
        """The faces in a JPEG or PNG, in pixels of the whole picture.

        Raises:
            InputError: it is neither, is damaged, or claims or costs too much.
        """
        with Decoder(UPLOADS) as self._decoder:  # nobody's picture meets the process that opened another's
            if self._closed:
                self._decoder.close()
            try:
                picture = self._decoder.decode(coded)
            except InputError as error:
                raise InputError(f"the picture cannot be used: {error}") from error
        return [from_face(face.enlarged(picture.factor)) for face in self._find(picture.pixels)]

    def close(self) -> None:
        """Ends the decoding that goes on, if any; from any thread."""
        self._closed = True
        self._decoder.close()
