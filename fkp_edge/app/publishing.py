"""Joins a run to all that shows or keeps it: streams, the live page, a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.app.config import RunConfig, path_or_none
from fkp_edge.app.defaults import DEFAULT_STREAM
from fkp_edge.core.drawing import Picture, read_effect
from fkp_edge.core.files import Closing
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Face, Frame, Observation
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.device.timing import BOUNDS_S, StageTimes
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.stream import Hello, encode, from_observation
from fkp_edge.stream.adapters.heads import check_points
from fkp_edge.stream.protocol.address import (
    AdapterAddress,
    Address,
    MqttAddress,
    OpenSeeFaceAddress,
    PageAddress,
    UdpAddress,
    UnixAddress,
    parse_page_address,
)
from fkp_edge.stream.recording.recording import GB, Recorder, free_name
from fkp_edge.stream.server.publishers import Access, Publishers, check_addresses, read_stream_options

if TYPE_CHECKING:
    from fkp_edge.stream.web import LivePage

__all__ = ["PageFinder", "PublishOptions", "Publisher", "read_publish_options"]


class PublishOptions(NamedTuple):
    """Where observations go, checked."""

    config: RunConfig
    addresses: tuple[Address, ...]
    access: Access
    page: PageAddress | None
    effect: Callable[[Picture, NDArray[np.float32]], None] | None
    """Draws on a frame, given a face's points."""


def read_publish_options(config: RunConfig, schema: Schema) -> PublishOptions:
    """Checks where a run shall publish points of `schema`; opens nothing.

    Raises:
        FkpEdgeError: an option cannot be used, or lacks another.
    """
    addresses, access = read_stream_options(
        config.stream or (DEFAULT_STREAM,),
        token_file=path_or_none(config.token_file),
        insecure=config.insecure,
        tls_cert=path_or_none(config.tls_cert),
        tls_key=path_or_none(config.tls_key),
        mqtt_password_file=path_or_none(config.mqtt_password_file),
    )
    if any(isinstance(address, OpenSeeFaceAddress) for address in addresses):
        check_points(schema.size)
    for option, needed in (("preview", "web"), ("effect", "preview")):
        if getattr(config, option) and not getattr(config, needed):
            raise InputError(f"--{option} is for the picture on the live page; expected --{needed} with it")
    page = parse_page_address(config.web) if config.web else None
    if page is not None:
        check_addresses([*addresses, page], access)
    effect = read_effect(config.effect, schema) if config.effect else None
    return PublishOptions(config, addresses, access, page, effect)


class Publisher(Closing):
    """A sink that hands observations to everybody. Close it when the run has ended."""

    def __init__(self, options: PublishOptions, model: KeypointModel, source: str, times: StageTimes) -> None:
        """Opens all, or none.

        Args:
            options: see `read_publish_options`.
            model: that observations come from.
            source: name of where frames come from.
            times: of the run's stages.

        Raises:
            FkpEdgeError: an address or file cannot be used.
        """
        self._model = model
        self._source = source
        self._frame_size: tuple[int, int] | None = None
        self._recorder: Recorder | None = None
        self._page: LivePage | None = None
        self._lines: list[str] = []
        self._token_file = path_or_none(options.config.token_file)
        with ExitStack() as opened:
            if options.config.record:
                path, limit = self._free(Path(options.config.record)), round(options.config.record_limit * GB)
                self._recorder = opened.enter_context(
                    Recorder(path, limit_bytes=limit, smoothed=options.config.smoothing.enabled)
                )
            self._outputs = opened.enter_context(Publishers(options.addresses, self._hello, options.access))
            if options.page is not None:
                self._page = self._open_page(options, options.page, times, opened)
            self._opened = opened.pop_all()

    @property
    def viewers(self) -> int:
        """Who looks at the page now."""
        return 0 if self._page is None else self._page.viewers

    def introduction(self, command: str) -> Sequence[str]:
        """Lines that say where observations go; `command` is how this program was called."""
        watch = f"{command} watch"
        return [*(_introduce(address, watch, self._token_file) for address in self._outputs.addresses), *self._lines]

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        is_first = frame is not None and self._frame_size is None
        if frame is not None:
            self._frame_size = (frame.grey.shape[1], frame.grey.shape[0])
        message = from_observation(observation, time.monotonic_ns())
        line = encode(message)
        self._outputs.publish(message, line)
        if self._page is not None:
            self._page.publish(message, line, None if frame is None else frame.grey)
        if self._recorder is not None and self._frame_size is not None:  # a recording begins with its first frame
            if is_first:
                self._recorder.write(encode(self._hello()))
            self._recorder.write(line)

    def close(self) -> None:
        """Twice is fine.

        Raises:
            StreamError: the recording is incomplete.
        """
        self._opened.close()

    def _free(self, wanted: Path) -> Path:
        """A service that is started again must neither stop at its last recording nor lose it."""
        path = free_name(wanted)
        if path != wanted:
            self._lines.append(f"recording to {path}: {wanted} exists already")
        return path

    def _hello(self) -> Hello:
        file = self._model.file
        return Hello(
            model=file.card.name if file.card else file.path.name,
            model_sha256=file.sha256,
            points=self._model.schema.names,
            frame_size=self._frame_size,
            source=self._source,
            server_ns=time.monotonic_ns(),
        )

    def _open_page(
        self, options: PublishOptions, address: PageAddress, times: StageTimes, opened: ExitStack
    ) -> LivePage:
        from fkp_edge.stream.web import PUBLIC, Histogram, LivePage, PageParts, WebServer  # needs aiohttp

        schema, access = self._model.schema, options.access
        parts = PageParts(
            hello=self._hello,
            schema=schema,
            preview=options.config.preview,
            effect=options.effect,
            find=PageFinder(options.config, self._model),
            stages=lambda: {name: Histogram(BOUNDS_S, *counted) for name, counted in times.histograms().items()},
            clients=lambda: self._outputs.clients,
        )
        page = LivePage(parts)
        server = opened.enter_context(
            WebServer(
                address,
                page.routes(),
                end=page.close,
                token=access.token,
                public=PUBLIC,
                insecure=access.insecure,
                tls=access.tls,
            )
        )
        page.count_refused(lambda: server.refused)
        self._lines.append(f"live page: {server.address}{'?token=TOKEN' if access.token else ''}")
        return page


class PageFinder:
    """Finds faces in photographs that somebody drops on the page.

    With a network of its own, opened when the first one comes; on an Edge TPU, which opens once only, with the run's.
    """

    def __init__(self, config: RunConfig, model: KeypointModel) -> None:
        self._config = config
        self._model = model
        self._finder: ImageDetector | None = None

    def __call__(self, grey: NDArray[np.uint8]) -> Sequence[Face]:
        if self._finder is None:
            model = self._model
            if model.accelerator == "cpu":
                model = KeypointModel(model.file)
            self._finder = ImageDetector(model, ImageSettings(method=self._config.search.method))
        return self._finder.find(grey)


def _introduce(address: Address, watch: str, token_file: Path | None) -> str:
    if isinstance(address, MqttAddress | AdapterAddress):
        return f"streaming to {address}"
    if isinstance(address, UdpAddress):
        return f"streaming to {address}; on that machine: {watch} {address}"
    shown = f" --token-file {token_file}" if token_file and not isinstance(address, UnixAddress) else ""
    return f"streaming on {address}; watch it: {watch} {address}{shown}"
