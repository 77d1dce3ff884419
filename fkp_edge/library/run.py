"""The main job from Python: what `fkp-edge run` does, and returns at its end."""

from __future__ import annotations

import logging
from typing import Any

from fkp_edge.app.config import RunConfig
from fkp_edge.app.live import plan_run, run_live
from fkp_edge.device.summary import Summary
from fkp_edge.errors import InputError

__all__ = ["run"]

_log = logging.getLogger(__name__)


def run(config: RunConfig | None = None, **options: Any) -> dict[str, Any]:
    """Camera or recording -> keypoints on sockets, as `fkp-edge run` does it, until the source ends.

    In the main thread Ctrl-C and SIGTERM end it cleanly, too. Where frames come from and where observations go is
    logged, at the level INFO.

    Args:
        config: what to run; its defaults where None.
        options: fields of `RunConfig`, instead of a record: `run(source="demo")`.

    Returns:
        The summary: frames, dropped, states, faces followed, milliseconds by stage; what `run --json` prints.

    Raises:
        InputError: an option is unknown or cannot be used, or the source names nothing.
        SourceError: the source failed and cannot be opened again.
        StreamError: an address cannot be used.

    >>> import fkp_edge as fkp
    >>> summary = fkp.run(source="demo", fast=True, stream=("tcp://127.0.0.1:0",), sheet="demo.png")
    >>> summary["frames"], summary["faces"] > 0
    (376, True)
    """
    if options:
        if config is not None:
            raise InputError(f"run takes a RunConfig or options, got both; put {next(iter(options))} into the record")
        config = _from_options(options)
    figures: dict[str, Any] = {}

    def done(summary: Summary) -> None:
        figures.update(summary.figures())

    run_live(plan_run(config or RunConfig()), tell=_log.info, done=done)
    return figures


def _from_options(options: dict[str, Any]) -> RunConfig:
    known = RunConfig.__struct_fields__
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"run has no option {unknown[0]!r}; expected fields of RunConfig: {', '.join(known)}")
    return RunConfig(**options)
