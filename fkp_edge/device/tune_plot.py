"""The picture of a sweep: jitter against lag, with ticks, the defaults, the chosen setting and what lies outside."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.device.tune import Setting

__all__ = ["plot"]

WIDTH, HEIGHT, MARGIN, TOP = 760, 520, 64, 84
BLACK, GREY, BLUE, RED, GREEN, ORANGE = (
    (0, 0, 0),
    (225, 225, 225),
    (180, 110, 30),
    (60, 60, 220),
    (40, 150, 40),
    (0, 120, 230),
)


def plot(raw: Setting, settings: Sequence[Setting], chosen: Setting) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR of jitter against lag: each setting a dot; one beyond the top a triangle there."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    x_ticks = _ticks(1.05 * max(max(s.lag_ms for s in settings), 1.0))
    y_ticks = _ticks(1.2 * raw.jitter_px)  # more is lag that came too late
    right, bottom = WIDTH - MARGIN // 2, HEIGHT - MARGIN

    def place(setting: Setting) -> tuple[int, int]:
        x = MARGIN + (right - MARGIN) * max(setting.lag_ms, 0) / x_ticks[-1]
        y = bottom - (bottom - TOP) * min(setting.jitter_px / y_ticks[-1], 1)
        return round(x), round(y)

    for tick in x_ticks:
        x = place(Setting(0, 0, 0, tick))[0]
        cv2.line(picture, (x, TOP), (x, bottom), GREY)
        _write(picture, f"{tick:g}", (x, bottom + 20), align=0.5)
    for tick in y_ticks:
        y = place(Setting(0, 0, tick, 0))[1]
        cv2.line(picture, (MARGIN, y), (right, y), GREY)
        _write(picture, f"{tick:g}", (MARGIN - 8, y + 5), align=1.0)
    cv2.rectangle(picture, (MARGIN, TOP), (right, bottom), BLACK)
    outside = [setting for setting in settings if setting.jitter_px > y_ticks[-1]]
    for setting in settings:
        at = place(setting)
        if setting in outside:
            cv2.drawMarker(picture, (at[0], at[1] + 6), BLUE, cv2.MARKER_TRIANGLE_UP, 10, 1, cv2.LINE_AA)
        else:
            cv2.circle(picture, at, 3, BLUE, -1, cv2.LINE_AA)
    default = SmoothingSettings()
    for setting in settings:
        if (setting.min_cutoff_hz, setting.beta) == (default.min_cutoff_hz, default.beta):
            cv2.drawMarker(picture, place(setting), ORANGE, cv2.MARKER_SQUARE, 16, 2, cv2.LINE_AA)
    cv2.circle(picture, place(raw), 6, RED, -1, cv2.LINE_AA)
    cv2.circle(picture, place(chosen), 10, GREEN, 2, cv2.LINE_AA)
    _write(picture, "jitter while still, px RMS", (MARGIN, TOP - 10))
    _write(picture, "lag while moving, ms", ((MARGIN + right) // 2, bottom + 44), align=0.5)
    _legend(picture, chosen, default, len(outside))
    return picture


def _legend(picture: NDArray[np.uint8], chosen: Setting, default: SmoothingSettings, outside: int) -> None:
    """Two lines at the top."""
    cv2.circle(picture, (MARGIN, 20), 6, RED, -1, cv2.LINE_AA)
    _write(picture, "not smoothed", (MARGIN + 14, 25))
    cv2.drawMarker(picture, (MARGIN + 170, 20), ORANGE, cv2.MARKER_SQUARE, 14, 2, cv2.LINE_AA)
    _write(picture, f"default: {default.min_cutoff_hz:g} Hz, beta {default.beta:g}", (MARGIN + 186, 25))
    cv2.circle(picture, (MARGIN + 430, 20), 9, GREEN, 2, cv2.LINE_AA)
    _write(picture, f"chosen: {chosen.min_cutoff_hz:g} Hz, beta {chosen.beta:g}", (MARGIN + 446, 25))
    if outside:
        cv2.drawMarker(picture, (MARGIN, 46), BLUE, cv2.MARKER_TRIANGLE_UP, 10, 1, cv2.LINE_AA)
        _write(picture, f"{outside} settings tremble more than the picture shows", (MARGIN + 14, 51))


def _ticks(most: float) -> list[float]:
    """From 0 to `most` or a little more, in steps of 1, 2 or 5."""
    rough = most / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(power * factor) for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(step * i, 10) for i in range(int(np.ceil(most / step)) + 1)]


def _write(picture: NDArray[np.uint8], text: str, at: tuple[int, int], *, align: float = 0.0) -> None:
    """`text` whose left (0), middle (0.5) or right end (1) is at `at`."""
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    place = (round(at[0] - align * width), at[1])
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, BLACK, 1, cv2.LINE_AA)
