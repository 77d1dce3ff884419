"""Results as a measurement would give them, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from fkp_edge.bench.records import Accuracy, Loop, Measured, OpenLoop, Result, Software, Start, latency
from fkp_edge.device.board import Board

BOARD = Board(
    model="Raspberry Pi 5 Model B Rev 1.0",
    cpu="Cortex-A76",
    cores=4,
    memory_mb=8062.0,
    system="Debian GNU/Linux 12 (bookworm)",
    kernel="6.6",
    governor="performance",
    frequency_mhz=2400.0,
    temperature_c=50.0,
    throttled=0,
)


def spans(ms: float, count: int = 400, seed: int = 0) -> list[int]:
    """Durations in nanoseconds about `ms`, 3 % apart."""
    return np.random.default_rng(seed).normal(ms * 1e6, ms * 3e4, count).round().astype(int).tolist()


@pytest.fixture
def board() -> Board:
    return BOARD


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Builds results of one model; `infer_ms`, `reference_ms` and `seed` say what was measured."""

    def build(
        *,
        infer_ms: float = 0.3,
        reference_ms: float = 1.0,
        seed: int = 0,
        count: int = 400,
        errors: Any = None,
        **more: Any,
    ) -> Result:
        found = latency(spans(infer_ms, count, seed))
        loop = Loop(seconds=10.0, frames=count, dropped=0, missed=1, stages={"infer": found, "end to end": found})
        accuracy = None
        if errors is not None:
            accuracy = Accuracy(
                sets={"drawn": len(errors)},
                crops=len(errors),
                latency=found,
                nme_percent=float(np.mean(errors)),
                rmse_px=1.0,
                nme_by_face=tuple(errors),
                baseline="a.tflite",
                loss=None,
            )
        model = Measured(
            model="a.tflite",
            sha256="ab" * 32,
            schema="fkp15",
            arithmetic="integer",
            accelerator="cpu",
            file_bytes=2000,
            flatbuffer_bytes=1000,
            start=(Start(listening_s=0.5, first_observation_s=0.5, first_keypoints_s=0.6, peak_mb=90.0),) * 3,
            closed=loop,
            open=OpenLoop(rate=30.0, first_minute=loop, steady=None),
            network={"1": found},
            accuracy=accuracy,
        )
        result = Result(
            made_at="2026-01-01T00:00:00+00:00",
            source="demo",
            frame_size=(640, 480),
            seconds=10.0,
            quick=False,
            software=Software(
                fkp_edge="0.1.0", commit="c" * 40, python="3.11", runtime="LiteRT 2.3.0", numpy="2", opencv="4"
            ),
            before=BOARD,
            after=BOARD,
            load_before=0.0,
            reference=latency(spans(reference_ms, seed=seed)),
            warnings=(),
            models=(model,),
        )
        return msgspec.structs.replace(result, **more)

    return build
