"""What `fkp-edge run` is told: a TOML file, and the command line's options, which override it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fkp_edge.commands.arguments import DEFAULT_STREAM, MOST_THREADS
from fkp_edge.device.engine import EngineSettings
from fkp_edge.device.runtime import SupervisionSettings
from fkp_edge.device.search import SearchSettings
from fkp_edge.device.smoothing import SmoothingSettings
from fkp_edge.device.sources import CameraSettings
from fkp_edge.models import find_model
from fkp_edge.settings import Settings, parse_settings, read_values

__all__ = ["IN_TABLES", "RunConfig", "as_arguments", "read_run_config"]


class RunConfig(Settings, frozen=True, kw_only=True):
    """Keys of the file outside its tables are named as the options are, with `_` for `-`; "" is not set."""

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
    fast: bool = False
    sheet: str = ""
    json: bool = False
    model: str = "keypoints-int8"
    no_card: bool = False
    accelerator: Literal["cpu", "edgetpu"] = "cpu"
    threads: Annotated[int, msgspec.Meta(ge=1, le=MOST_THREADS)] = 1
    camera: CameraSettings = CameraSettings()
    search: SearchSettings = SearchSettings()
    tracking: EngineSettings = EngineSettings()
    smoothing: SmoothingSettings = SmoothingSettings()
    supervision: SupervisionSettings = SupervisionSettings()


_PATHS = ("token_file", "tls_cert", "tls_key", "mqtt_password_file", "record", "sheet")
IN_TABLES = {"max_faces": ("tracking", "max_faces"), "smoothing": ("smoothing", "enabled")}
"""Options whose key stands in a table: the table and the key."""


def read_run_config(args: Namespace) -> RunConfig:
    """What `--config` says and the other options override; an option that was not given is None in `args`.

    Raises:
        InputError: the file cannot be read, or a key or value in it is none of ours.
    """
    values: dict[str, Any] = read_values(args.config) if args.config else {}
    config = parse_settings(values, RunConfig, str(args.config))
    for option, value in vars(args).items():
        if value is None:
            continue
        if option in IN_TABLES:
            table, key = IN_TABLES[option]
            inner = msgspec.structs.replace(getattr(config, table), **{key: value})
            config = msgspec.structs.replace(config, **{table: inner})
        elif option in config.__struct_fields__:
            plain = tuple(value) if isinstance(value, list) else str(value) if isinstance(value, Path) else value
            config = msgspec.structs.replace(config, **{option: plain})
    return config


def as_arguments(config: RunConfig) -> Namespace:
    """The keys outside tables as the command line would give them: paths as `Path`, what is not set as None.

    Only a source must be set: `--source "$CAMERA"` with nothing in CAMERA is a mistake to be told.
    """
    values = {key: getattr(config, key) for key in config.__struct_fields__}
    values = {key: value for key, value in values.items() if not isinstance(value, Settings)}
    values = {key: None if value == "" and key != "source" else value for key, value in values.items()}
    values |= {key: Path(values[key]) for key in _PATHS if values[key]}
    return Namespace(**values | {"model": find_model(config.model), "stream": list(config.stream)})
