"""What a run is told: one typed record, from a TOML file, the command line or Python."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fkp_edge.app.defaults import DEFAULT_STREAM, MAX_THREADS
from fkp_edge.core.settings import Settings, parse_settings
from fkp_edge.device.detection.search import SearchSettings
from fkp_edge.device.keeping import KeepSettings
from fkp_edge.device.runtime import SupervisionSettings
from fkp_edge.device.sources import CameraSettings
from fkp_edge.device.tracking.engine import EngineSettings
from fkp_edge.device.tracking.pose import MeasureSettings
from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.errors import InputError

__all__ = ["RunConfig", "check_config", "path_or_none"]


class RunConfig(Settings, frozen=True, kw_only=True):
    """What `fkp-edge run` and `fkp_edge.run` are told.

    The fields outside the tables are named as the command's options are, with `_` for `-`; "" is not set. Paths are
    texts, as in the file.
    """

    source: str = "auto"
    stream: tuple[str, ...] = (DEFAULT_STREAM,)
    token_file: str = ""
    insecure: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    mqtt_password_file: str = ""
    web: str = ""
    preview: bool = False
    effect: str = ""
    record: str = ""
    record_limit: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 10.0
    fast: bool = False
    loop: bool = False
    sheet: str = ""
    keep: str = ""
    json: bool = False
    model: str = "keypoints-int8"
    no_card: bool = False
    accelerator: Literal["cpu", "edgetpu"] = "cpu"
    threads: Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)] = 1
    camera: CameraSettings = CameraSettings()
    search: SearchSettings = SearchSettings()
    tracking: EngineSettings = EngineSettings()
    smoothing: SmoothingSettings = SmoothingSettings()
    measures: MeasureSettings = MeasureSettings()
    keeping: KeepSettings = KeepSettings()
    supervision: SupervisionSettings = SupervisionSettings()


def check_config(config: RunConfig) -> RunConfig:
    """`config` with every value in its range; Python checks none of them when a record is made.

    Raises:
        InputError: a value is of another type or out of range.
    """
    return parse_settings(msgspec.to_builtins(config, builtin_types=(bytes,), enc_hook=_plain), RunConfig, "RunConfig")


def _plain(value: Any) -> Any:
    """A path as its text."""
    if isinstance(value, PathLike):
        return fspath(value)
    raise InputError(f"RunConfig: {value!r} cannot be used; expected a text, number, path or record of settings")


def path_or_none(text: str) -> Path | None:
    """The path in a field that may be "", which is not set."""
    return Path(text) if text else None
