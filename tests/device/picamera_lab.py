"""`PicameraSource` on a real Picamera2 and libcamera's virtual camera, inside the root that picamera_lab.sh builds.

What it prints as JSON is judged by test_picamera.py. Three things that a machine without the Pi's kernel lacks are
replaced: DRM preview and raw DNG modules, dma-heap buffers (memory files with the same two planes instead), raw modes.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from typing import Any
from unittest import mock

for absent in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
    sys.modules.setdefault(absent, mock.MagicMock(name=absent))

import libcamera
import picamera2.picamera2 as module
from picamera2.allocators import dmaallocator
from picamera2.dma_heap import UniqueFD

from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.sources import PicameraSource
from fkp_edge.device.sources.picamera import picamera_available
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model


class MemoryHeap:
    """Buffers in memory files."""

    isValid = True

    def alloc(self, name: str, size: int) -> Any:
        handle = os.memfd_create(name)
        os.ftruncate(handle, size)
        return UniqueFD(handle)

    def close(self) -> None:
        pass


class NoSync:
    """Ordinary memory needs no cache maintenance."""

    def __init__(self, allocator: Any, buffer: Any, write: bool) -> None:
        self._mapped = allocator.mapped_buffers[buffer]

    def __enter__(self) -> Any:
        return self._mapped

    def __exit__(self, *_: object) -> None:
        pass


def allocate(self: Any, configuration: Any, _use_case: Any) -> None:
    """As Picamera2's, with the luma and chroma planes that the virtual camera wants."""
    self.libcamera_fds = []
    self.cleanup()
    for handle in self.open_fds:
        os.close(handle)
    self.frame_buffers, self.open_fds = {}, []
    for stream in configuration:
        luma = stream.stride * stream.size.height
        self.frame_buffers[stream.stream] = [buffer_of(self, stream, luma, i) for i in range(stream.buffer_count)]


def buffer_of(self: Any, stream: Any, luma: int, index: int) -> Any:
    handle = self.dmaHeap.alloc(f"buffer{index}", stream.frame_size).get()
    self.open_fds.append(handle)
    planes = []
    for offset, length in ((0, luma), (luma, stream.frame_size - luma)):
        plane = libcamera.FrameBuffer.Plane()
        plane.fd, plane.offset, plane.length = handle, offset, length
        planes.append(plane)
    self.libcamera_fds.append(planes[0].fd)
    self.mapped_buffers_used[planes[0].fd] = False
    buffer = libcamera.FrameBuffer(planes)
    access = mmap.PROT_READ | mmap.PROT_WRITE
    self.mapped_buffers[buffer] = mmap.mmap(planes[0].fd, stream.frame_size, mmap.MAP_SHARED, access)
    return buffer


def raw_modes(self: Any) -> list[dict[str, Any]]:
    """The virtual camera has none: its formats stand for them."""
    formats = self.camera.generate_configuration([libcamera.StreamRole.VideoRecording]).at(0).formats
    return [
        {"format": str(pixel), "size": (size.width, size.height)}
        for pixel in formats.pixel_formats
        for size in formats.sizes(pixel)
    ]


def prepare() -> None:
    """Replaces what this machine lacks."""
    dmaallocator.DmaHeap = MemoryHeap
    dmaallocator.DmaAllocator.DmaSync = NoSync
    dmaallocator.DmaAllocator.allocate = allocate
    module.Picamera2._get_raw_modes = raw_modes
    # libcamera 0.4.0's virtual camera leaves it uninitialised
    libcamera.FrameMetadata.status = property(lambda _: libcamera.FrameMetadata.Status.Success)


def main() -> None:
    """Reads frames, closes, opens again; says what came."""
    prepare()
    found: dict[str, Any] = {"available": picamera_available()}
    camera = module.Picamera2()
    camera.camera_properties_["PixelArraySize"] = (
        2592,
        1944,
    )  # all others say it
    source = PicameraSource(camera)
    engine = Engine(open_model(shipped_model()), InlineSearch(HaarDetector().detect))
    given = camera.camera_configuration()
    found["streams"] = {name: given[name]["size"] for name in ("main", "lores") if given[name]}
    frames = [source.read() for _ in range(30)]
    found["shapes"] = sorted({frame.grey.shape for frame in frames})
    found["sequences"] = [frame.sequence for frame in frames]
    found["captured_ns"] = [frame.captured_ns for frame in frames]
    found["states"] = [str(engine.process(frame).state) for frame in frames]
    first = frames[0].grey.copy()
    source.read()
    found["pixels_kept"] = bool((frames[0].grey == first).all())
    source.close()
    source.close()
    found["after_close"] = source.read()
    again = PicameraSource()
    found["again"] = again.read().grey.shape
    again.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
