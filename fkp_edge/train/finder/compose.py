"""Frames to learn from: photographs viewed anyhow, faces set into other pictures, and frames without a face."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.model.finder_maps import INPUT_SIZE
from fkp_edge.train.finder.drawing import backdrop
from fkp_edge.train.finder.recipe import Compose
from fkp_edge.train.finder.sources import Source

__all__ = ["Composer", "Frame"]

Grey = NDArray[np.uint8]

ASPECTS = ((160, 120), (160, 120), (160, 120), (128, 128), (96, 128), (85, 128), (160, 90))
"""Sizes of the frame inside the network's input, as cameras and photographs have them."""
HIDDEN = 0.58
"""Share of a face's square that is out of sight from which the face is not asked for."""


@dataclass(eq=False)
class Frame:
    """A composed frame, as the network sees it."""

    pixels: Grey
    """(128, 160)."""
    faces: list[Crop] = field(default_factory=list)
    ignore: list[Crop] = field(default_factory=list)
    """Where no answer is right or wrong: faces nobody labelled, too small, or nearly hidden."""


@dataclass(frozen=True, slots=True)
class _Move:
    """A similarity from a source's pixels to the frame's, mirrored first where asked."""

    scale: float
    roll: float
    x: float
    """Where `about` comes to lie."""
    y: float
    about: tuple[float, float]
    """A point of the (mirrored) source."""
    mirror: float = 0.0
    """Width - 1 of the source where it is mirrored, else 0."""

    def matrix(self) -> NDArray[np.float64]:
        """(2, 3), from the source to the frame."""
        a, b = self.scale * math.cos(self.roll), self.scale * math.sin(self.roll)
        ax, ay = self.about
        move = np.array([[a, -b, self.x - a * ax + b * ay], [b, a, self.y - b * ax - a * ay]])
        if self.mirror:
            move[:, 2] += move[:, 0] * self.mirror
            move[:, 0] *= -1
        return move

    def crop(self, crop: Crop) -> Crop:
        """`crop` of the source as one of the frame."""
        x, y = self.matrix() @ [crop.x, crop.y, 1.0]
        roll = (-crop.roll if self.mirror else crop.roll) + self.roll
        return Crop(float(x), float(y), crop.side * self.scale, math.remainder(roll, 2 * math.pi))


class Composer:
    """Draws frames; the same generator of random numbers gives the same frames."""

    def __init__(self, photographs: list[Source], chips: list[list[Source]], config: Compose) -> None:
        self.photographs = photographs
        self.chips = chips
        self.config = config

    def draw(self, rng: np.random.Generator, part: int = 0) -> Frame:
        """One frame, letterboxed as the network sees it; or a square one with sides of `part` pixels."""
        size = (part, part) if part else ASPECTS[rng.integers(len(ASPECTS))]
        kind = rng.random()
        if kind < self.config.view_share:
            frame = self._view(size, rng)
        elif kind < self.config.view_share + self.config.paste_share:
            frame = self._pasted(size, rng)
        else:
            frame = Frame(self._empty(size, rng))
        frame = self._degraded(self._sorted_out(frame), rng)
        return frame if part else _letterboxed(frame)

    def _pick(self, rng: np.random.Generator) -> Source:
        """A source with at least one face."""
        while True:
            pool = self.photographs
            if self.chips and rng.random() < 0.5:
                pool = self.chips[rng.integers(len(self.chips))]
            source = pool[rng.integers(len(pool))]
            if source.faces:
                return source

    def _view(self, size: tuple[int, int], rng: np.random.Generator) -> Frame:
        """One picture that fills the frame: as it is, or turned, moved and scaled about one of its faces."""
        source = self._pick(rng)
        height, width = source.levels[0].shape
        if rng.random() < 0.3:  # as it is, or nearly so
            scale = min(size[0] / width, size[1] / height)
            if rng.random() < 0.6 and size[0] != size[1]:
                size = (max(8, min(INPUT_SIZE[0], round(width * scale))), max(8, round(height * scale)))
            scale *= math.exp(rng.normal(0, 0.05))
            about = ((width - 1) / 2, (height - 1) / 2)
            x, y = (float(v) for v in (np.array(size) - 1) / 2 + rng.normal(0, 2, 2))
            mirror = width - 1.0 if rng.random() < 0.5 else 0.0
            move = _Move(scale, math.radians(rng.normal(0, 4)), x, y, about, mirror)
        else:
            move = self._move(source, size, rng, margin=0.0)
            covers = move.scale * min(width, height) > 0.5 * max(size)
            if not covers:  # what a border repeated so far shows is no picture
                return self._set_in(Frame(self._empty(size, rng)), source, move, rng)
        frame = Frame(_warped(source, move, size, cv2.BORDER_REPLICATE))
        frame.faces = [move.crop(c) for c in source.faces]
        frame.ignore = [move.crop(c) for c in source.ignore]
        return frame

    def _pasted(self, size: tuple[int, int], rng: np.random.Generator) -> Frame:
        """One to six pictures or faces set into a picture without faces."""
        frame = Frame(self._empty(size, rng))
        for _ in range(1 + min(int(rng.exponential(1.6)), 5)):
            source = self._pick(rng)
            frame = self._set_in(frame, source, self._move(source, size, rng, margin=0.05), rng)
        return frame

    def _move(self, source: Source, size: tuple[int, int], rng: np.random.Generator, *, margin: float) -> _Move:
        """A move that brings one face of `source` somewhere, at some size and roll."""
        c = self.config
        face = source.faces[rng.integers(len(source.faces))]
        side = math.exp(rng.uniform(math.log(c.least_side), math.log(min(c.most_side, 1.35 * max(size)))))
        most = math.radians(c.most_roll_deg)
        turned = rng.uniform(-most, most) if rng.random() < 0.5 else rng.normal(0, math.radians(c.flat_roll_deg))
        mirror = source.levels[0].shape[1] - 1.0 if rng.random() < 0.5 else 0.0
        own = -face.roll if mirror else face.roll
        about = (mirror - face.x if mirror else face.x, face.y)
        x = rng.uniform(-0.02 + margin, 1.02 - margin) * size[0]
        y = rng.uniform(-0.02 + margin, 1.02 - margin) * size[1]
        return _Move(side / face.side, float(np.clip(own * 0.5 + turned, -most, most)) - own, x, y, about, mirror)

    def _set_in(self, frame: Frame, source: Source, move: _Move, rng: np.random.Generator) -> Frame:
        """`frame` with the moved `source` set into it: whole, or its face with a little or much around."""
        height, width = frame.pixels.shape
        size = (width, height)
        rows, columns = source.levels[0].shape
        outline = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64) - 0.5
        mask = np.zeros((height, width), np.uint8)
        _fill(mask, outline, move)
        if rng.random() > 0.45:
            crop = source.faces[0]
            reach = crop.side * rng.uniform(0.62, 1.2)
            angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
            wide, high = reach * rng.uniform(0.8, 1.1), reach * rng.uniform(1.0, 1.3)
            inside = np.zeros_like(mask)
            ellipse = np.stack([crop.x + wide * np.cos(angles), crop.y + 0.05 * crop.side + high * np.sin(angles)], 1)
            _fill(inside, ellipse, move)
            mask &= inside
        cover: NDArray[np.floating] = mask.astype(np.float32) / 255
        if rng.random() < 0.6:
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.5, 2.0))))
        patch = _warped(source, move, size, cv2.BORDER_REPLICATE).astype(np.float32)
        base = frame.pixels.astype(np.float32)
        if rng.random() < 0.4:  # the light of where it is set
            patch = patch + (float(base.mean()) - float(patch.mean())) * rng.uniform(0.3, 1.0)
        pixels = np.clip(base * (1 - cover) + patch * cover, 0, 255).astype(np.uint8)
        hidden = [(c, _share(cover, c)) for c in frame.faces]
        seen = [(move.crop(c), _share(cover, move.crop(c))) for c in source.faces]
        ignore = [*frame.ignore, *(move.crop(c) for c in source.ignore)]
        ignore += [c for c, share in hidden if 0.3 < share < 0.8]
        ignore += [c for c, share in seen if 0.25 < share <= 0.5]
        faces = [c for c, share in hidden if share <= 0.3] + [c for c, share in seen if share > 0.5]
        return Frame(pixels, faces, ignore)

    def _empty(self, size: tuple[int, int], rng: np.random.Generator) -> Grey:
        """A frame without a face: part of a photograph with its faces painted out, a texture, or a drawing."""
        if rng.random() < 0.2:
            return backdrop(size, rng)
        pool = self.photographs if rng.random() < 0.85 or not self.chips else self.chips[rng.integers(len(self.chips))]
        source = pool[rng.integers(len(pool))]
        height, width = source.levels[0].shape
        scale = max(size[0] / width, size[1] / height) * math.exp(rng.uniform(-0.1, 1.3))
        about = (rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height)
        roll = math.radians(rng.normal(0, 12) + (90 * rng.integers(4) if rng.random() < 0.15 else 0))
        move = _Move(scale, roll, size[0] / 2, size[1] / 2, about)
        pixels = _warped(source, move, size, cv2.BORDER_REPLICATE)
        for crop in (*source.faces, *source.ignore):
            _paint_out(pixels, move.crop(crop), rng)
        return pixels

    def _sorted_out(self, frame: Frame) -> Frame:
        """`frame` whose faces that are too small, too turned or mostly outside are ignored rather than asked for."""
        height, width = frame.pixels.shape
        ones = np.ones((height, width), np.float32)
        faces: list[Crop] = []
        ignore = list(frame.ignore)
        for crop in frame.faces:
            inside = 0 <= crop.x < width and 0 <= crop.y < height
            fits = self.config.least_side * 0.9 <= crop.side <= self.config.most_side * 1.3
            straight = abs(crop.roll) <= math.radians(self.config.most_roll_deg + 12)
            shown = _share(ones, crop) > 1 - HIDDEN
            (faces if inside and fits and straight and shown else ignore).append(crop)
        return Frame(frame.pixels, faces, ignore)

    def _degraded(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """`frame` in other light, blurred, noisy, compressed, its faces partly covered."""
        c, pixels = self.config, frame.pixels.copy()
        for crop in frame.faces:
            if rng.random() < c.cover_share:
                _cover(pixels, crop, rng)
        if rng.random() < c.blur_share:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.4))), np.uint8)
        dark = rng.random() < c.dark_share
        levels: NDArray[np.floating] = np.arange(256, dtype=np.float32)
        mean = float(pixels.mean())
        levels = (levels - mean) * math.exp(rng.normal(0, 0.25)) + mean + rng.normal(0, 22)
        levels = 255 * (np.clip(levels, 0, 255) / 255) ** math.exp(rng.normal(0, 0.25))
        if dark:
            levels *= rng.uniform(0.08, 0.5)
        lit: NDArray[np.floating] = levels.astype(np.float32)[pixels]
        if rng.random() < 0.15:
            height, width = pixels.shape
            angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 1.0)
            across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * math.cos(angle)
            down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * math.sin(angle)
            lit = lit * (1 + strength * (across + down))
        if rng.random() < c.noise_share:
            lit = lit + rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(1, 5 if dark else 12))
        pixels = np.clip(lit, 0, 255).astype(np.uint8)
        if rng.random() < c.jpeg_share:
            coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1]
            pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
        return Frame(pixels, frame.faces, frame.ignore)


def _fill(mask: Grey, outline: NDArray[np.float64], move: _Move) -> None:
    """Fills the moved `outline` (N, 2) of a source in `mask`, in place."""
    matrix = move.matrix()
    points = outline @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillConvexPoly(mask, np.round(points * 16).astype(np.int32), 255, cv2.LINE_AA, 4)


def _warped(source: Source, move: _Move, size: tuple[int, int], border: int) -> Grey:
    """The moved picture of `source` in a frame of `size`, drawn from the copy that is nearest in size."""
    level = int(np.clip(round(-math.log2(max(move.scale, 1e-6)) - 0.1), 0, len(source.levels) - 1))
    factor = 2.0**level
    matrix = move.matrix()
    # level pixel q shows source pixel (q + 0.5) * factor - 0.5
    scaled = matrix[:, :2] * factor
    shift = matrix[:, 2] + matrix[:, :2].sum(1) * (0.5 * factor - 0.5)
    full = np.concatenate([scaled, shift[:, None]], 1)
    return np.asarray(
        cv2.warpAffine(source.levels[level], full, size, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
    )


def _share(cover: NDArray[np.floating], crop: Crop) -> float:
    """Mean of `cover` (H, W) over the square of `crop`, where outside counts as 0."""
    half = crop.side * 0.5
    height, width = cover.shape
    left, right = max(0, round(crop.x - half)), min(width, round(crop.x + half) + 1)
    top, bottom = max(0, round(crop.y - half)), min(height, round(crop.y + half) + 1)
    if right <= left or bottom <= top:
        return 0.0
    return float(cover[top:bottom, left:right].sum()) / (2 * half + 1) ** 2


def _paint_out(pixels: Grey, crop: Crop, rng: np.random.Generator) -> None:
    """Paints over the face in `crop`, in place: with what lies elsewhere, with grey, or with noise."""
    height, width = pixels.shape
    reach = 0.75 * crop.side
    if crop.x + reach < 0 or crop.y + reach < 0 or crop.x - reach > width or crop.y - reach > height:
        return
    mask = np.zeros_like(pixels)
    axes = (max(1, int(reach * 0.95)), max(1, int(reach * 1.15)))
    cv2.ellipse(mask, (int(crop.x), int(crop.y)), axes, math.degrees(crop.roll), 0, 360, 255, -1)
    kind = rng.random()
    if kind < 0.4:  # the picture moved and flipped, where that shows no face itself
        other = np.roll(pixels, (int(rng.integers(height)), int(rng.integers(width))), (0, 1))
        fill = _smeared(other, max(4.0, crop.side * 0.3))
    elif kind < 0.7:
        fill = np.full_like(pixels, int(rng.integers(256)))
    elif kind < 0.85:
        fill = backdrop((width, height), rng)
    else:
        fill = _smeared(pixels, max(6.0, crop.side * 0.8))
    soft = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 2.5))).astype(np.float32) / 255
    pixels[:] = (pixels * (1 - soft) + fill * soft).astype(np.uint8)


def _smeared(pixels: Grey, reach: float) -> Grey:
    """`pixels` with nothing left that is smaller than `reach`."""
    height, width = pixels.shape
    few = cv2.resize(
        pixels, (max(2, round(width / reach)), max(2, round(height / reach))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _cover(pixels: Grey, crop: Crop, rng: np.random.Generator) -> None:
    """Covers a part of a face, in place, as hands, masks and other heads do."""
    height, width = pixels.shape
    w, h = (max(1, int(v)) for v in rng.uniform(0.15, 0.5, 2) * crop.side)
    x, y = int(crop.x + rng.uniform(-0.5, 0.5) * crop.side), int(crop.y + rng.uniform(-0.5, 0.5) * crop.side)
    left, top, right, bottom = max(0, x - w // 2), max(0, y - h // 2), min(width, x + w), min(height, y + h)
    if right > left and bottom > top:
        pixels[top:bottom, left:right] = int(rng.integers(256))


def _letterboxed(frame: Frame) -> Frame:
    """`frame` in the middle of the network's input, with its border repeated."""
    height, width = frame.pixels.shape
    left, top = (INPUT_SIZE[0] - width) // 2, (INPUT_SIZE[1] - height) // 2
    right, bottom = INPUT_SIZE[0] - width - left, INPUT_SIZE[1] - height - top
    pixels = cv2.copyMakeBorder(frame.pixels, top, bottom, left, right, cv2.BORDER_REPLICATE)
    faces, ignore = ([replace(c, x=c.x + left, y=c.y + top) for c in crops] for crops in (frame.faces, frame.ignore))
    return Frame(np.asarray(pixels, np.uint8), faces, ignore)
