"""Pictures of the live page: its preview, and what somebody uploads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_face
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Face
from fkp_edge.data.decoder import UPLOADS, Decoder
from fkp_edge.errors import InputError
from fkp_edge.stream.protocol.conversion import from_face
from fkp_edge.stream.protocol.messages import FaceMessage, ObservationMessage

__all__ = ["Effect", "Find", "JpegEncoder", "Photographs", "quiet_executor"]

Grey = NDArray[np.uint8]
Effect = Callable[[NDArray[np.uint8], NDArray[np.float32]], None]
"""Changes a picture (H, W, 3) in place, given the points (K, 2) of one face."""

QUALITY = 80
NICE = 10


def quiet_executor(name: str) -> ThreadPoolExecutor:
    """One thread of low priority: what it does must not slow the camera."""

    def be_nice() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)  # on Linux, of the calling thread alone

    return ThreadPoolExecutor(1, thread_name_prefix=f"fkp-edge-{name}", initializer=be_nice)


class JpegEncoder:
    """Makes JPEGs of frames on a thread of its own; used from the server's loop."""

    def __init__(self, schema: Schema, effect: Effect | None) -> None:
        self._schema = schema
        self._effect = effect
        self._executor = quiet_executor("pictures")
        self._made: dict[bool, tuple[int, asyncio.Future[bytes]]] = {}

    async def encode(self, number: int, grey: Grey, message: ObservationMessage, *, drawn: bool) -> bytes:
        """The JPEG of frame `number`; `drawn`: with points and boxes."""
        made = self._made.get(drawn)
        if made is None or made[0] != number:
            loop = asyncio.get_running_loop()
            made = (number, loop.run_in_executor(self._executor, self._encode, grey, message, drawn))
            self._made[drawn] = made
        return await asyncio.shield(made[1])  # a viewer that leaves takes nothing from the others

    def close(self) -> None:
        """Ends the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _encode(self, grey: Grey, message: ObservationMessage, drawn: bool) -> bytes:
        picture: NDArray[np.uint8] = grey
        if drawn or self._effect is not None:
            picture = np.ascontiguousarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
            for face in message.faces:
                points = np.array(face.points, np.float32)
                if self._effect is not None:
                    self._effect(picture, points)  # and no points on top of it
                elif drawn:
                    draw_face(picture, points, self._schema, box=face.box)
        _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return coded.tobytes()


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
