"""Which smoothing: what each setting leaves of the jitter while a face is still, and how far it lags while it moves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.device.tracking.smoothing import OneEuro, SmoothingSettings
from fkp_edge.errors import InputError

__all__ = ["Followed", "Setting", "knee", "plot", "sweep"]

Array = NDArray[np.float64]
MIN_CUTOFFS_HZ = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0)
BETAS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
WINDOW_S = 0.4
"""Of the centred mean that stands for the true motion: it lags nothing, and takes most of the jitter out."""
STILL = 0.1
"""Sides of the face's box a second, below which it stands still."""
MOVING = 0.4
"""The same, from which it moves."""
SETTLED_S = 0.3
"""Before and after it, a face that stands still must not move."""
LEAST = 15
"""Frames of each kind that a recording must have."""


class Followed(NamedTuple):
    """One face, as long as it was followed without a gap."""

    at_ns: NDArray[np.int64]
    """(N,)."""
    points: Array
    """(N, K, 2), frame pixels, not smoothed."""
    sides: Array
    """(N,): of its box, frame pixels."""


class Setting(NamedTuple):
    """What one setting does to a recording."""

    min_cutoff_hz: float
    beta: float
    jitter_px: float
    """RMS distance of the points from their motion, while still."""
    lag_ms: float
    """By which the points follow their motion, while moving."""


class _Prepared(NamedTuple):
    face: Followed
    motion: Array
    """(N, K, 2): the points without their jitter."""
    velocity: Array
    """(N, K, 2), pixels a second."""
    still: NDArray[np.bool_]
    moving: NDArray[np.bool_]


def sweep(faces: Sequence[Followed]) -> tuple[Setting, list[Setting]]:
    """What the points are without smoothing, then with each setting tried.

    Raises:
        InputError: the recording has too little of a still or of a moving face.
    """
    prepared = [_prepare(face) for face in faces if len(face.at_ns) >= LEAST]
    for name, count in (
        ("still", sum(int(p.still.sum()) for p in prepared)),
        ("moving", sum(int(p.moving.sum()) for p in prepared)),
    ):
        if count < LEAST:
            raise InputError(
                f"the recording has {count} frames of a {name} face, expected at least {LEAST}; record a face that "
                "stands still for some seconds and then moves about"
            )
    raw = _measure(prepared, None)
    tried = [
        _measure(prepared, SmoothingSettings(min_cutoff_hz=cutoff, beta=beta))
        for cutoff, beta in itertools.product(MIN_CUTOFFS_HZ, BETAS)
    ]
    # the centred mean cuts corners, which looks like a lead of the points: the same for all
    return raw._replace(lag_ms=0.0), [setting._replace(lag_ms=setting.lag_ms - raw.lag_ms) for setting in tried]


def _prepare(face: Followed) -> _Prepared:
    seconds = face.at_ns / 1e9
    motion = np.empty_like(face.points)
    for index, second in enumerate(seconds):
        near = slice(*np.searchsorted(seconds, [second - WINDOW_S / 2, second + WINDOW_S / 2]))
        motion[index] = face.points[near].mean(0)
    velocity = np.gradient(motion, seconds, axis=0)
    speed = np.linalg.norm(velocity, axis=2).mean(1) / face.sides
    whole = (seconds > seconds[0] + WINDOW_S / 2) & (seconds < seconds[-1] - WINDOW_S / 2)
    # a face that turns back is slow for a moment, yet does not stand still
    fast = seconds[speed >= STILL]
    calm = np.searchsorted(fast, seconds + SETTLED_S) == np.searchsorted(fast, seconds - SETTLED_S)
    return _Prepared(face, motion, velocity, whole & calm, whole & (speed > MOVING))


def _measure(prepared: Sequence[_Prepared], settings: SmoothingSettings | None) -> Setting:
    squares = count = behind = way = 0.0
    for face, motion, velocity, still, moving in prepared:
        away = (face.points if settings is None else _smooth(face, settings)) - motion
        squares += float((away[still] ** 2).sum())
        count += away[still].shape[0] * away.shape[1]
        behind -= float((away[moving] * velocity[moving]).sum())  # least squares of away = -lag * velocity
        way += float((velocity[moving] ** 2).sum())
    cutoff, beta = (settings.min_cutoff_hz, settings.beta) if settings else (np.inf, np.inf)
    return Setting(cutoff, beta, float(np.sqrt(squares / count)), 1000 * behind / way)


def _smooth(face: Followed, settings: SmoothingSettings) -> Array:
    smooth = OneEuro(settings)
    rows = zip(face.points, face.at_ns.tolist(), face.sides.tolist(), strict=True)
    return np.stack([smooth(points, at_ns, side) for points, at_ns, side in rows])


def knee(settings: Sequence[Setting]) -> Setting:
    """The setting from which less jitter costs much more lag, and less lag much more jitter.

    Of those that no other beats in both, the one farthest below the line that joins the two ends (as Kneedle does;
    Satopaa and others, ICDCS-W 2011).
    """
    front: list[Setting] = []
    for setting in sorted(settings, key=lambda s: (s.jitter_px, s.lag_ms)):
        if not front or setting.lag_ms < front[-1].lag_ms:
            front.append(setting)
    points = np.array([(s.jitter_px, s.lag_ms) for s in front])
    spread = np.maximum(np.ptp(points, axis=0), 1e-9)
    shares = (points - points.min(0)) / spread
    return front[int(np.argmin(shares.sum(1)))]


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
