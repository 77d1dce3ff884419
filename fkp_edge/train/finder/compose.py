"""Frames to learn from: photographs viewed anyhow, faces set into other pictures, and frames without a face."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.model.finder_maps import INPUT_SIZE
from fkp_edge.train.finder.damage import degraded, paint_out
from fkp_edge.train.finder.drawing import backdrop
from fkp_edge.train.finder.moves import Frame, Move, fill, share, warped
from fkp_edge.train.finder.recipe import Compose
from fkp_edge.train.finder.sources import Source

__all__ = ["Composer", "Frame"]

Grey = NDArray[np.uint8]

ASPECTS = ((160, 120), (160, 120), (160, 120), (128, 128), (96, 128), (85, 128), (160, 90))
"""Sizes of the frame inside the network's input, as cameras and photographs have them."""
SMALL = 26.0
"""Largest side of a face in a crowd, pixels of the network's input."""
TRIES = 12
"""Parts of a picture to try for one without a face, before its faces are painted out."""
HIDDEN = 0.58
"""Share of a face's square that is out of sight from which the face is not asked for."""


class Composer:
    """Draws frames; the same generator of random numbers gives the same frames."""

    def __init__(self, photographs: list[Source], chips: list[list[Source]], config: Compose) -> None:
        self.photographs = photographs
        self.chips = chips
        self.config = config

    def draw(self, rng: np.random.Generator, part: int = 0) -> Frame:
        """One frame, letterboxed as the network sees it; or a square one with sides of `part` pixels."""
        size = (part, part) if part else ASPECTS[rng.integers(len(ASPECTS))]
        c = self.config
        ways = (self._view, self._pasted, self._tiled, self._crowd, self._nobody)
        shares = np.cumsum([c.view_share, c.paste_share, c.tile_share, c.crowd_share])
        frame = ways[int(np.searchsorted(shares, rng.random(), side="right"))](size, rng)
        frame = degraded(self._sorted_out(frame), self.config, rng)
        return frame if part else _letterboxed(frame)

    def _pick(self, rng: np.random.Generator, *, known: bool = False) -> Source:
        """A source with at least one face; where `known`, with no others that nobody labelled."""
        while True:
            pool = self.photographs
            if self.chips and rng.random() < 0.5:
                pool = self.chips[rng.integers(len(self.chips))]
            source = pool[rng.integers(len(pool))]
            if source.faces and (source.known or not known):
                return source

    def _view(self, size: tuple[int, int], rng: np.random.Generator) -> Frame:
        """One picture that fills the frame: as it is, or turned, moved and scaled about one of its faces."""
        source = self._pick(rng, known=True)
        height, width = source.levels[0].shape
        if rng.random() < 0.3:  # as it is, or nearly so
            scale = min(size[0] / width, size[1] / height)
            if rng.random() < 0.6 and size[0] != size[1]:
                size = (max(8, min(INPUT_SIZE[0], round(width * scale))), max(8, round(height * scale)))
            scale *= math.exp(rng.normal(0, 0.05))
            about = ((width - 1) / 2, (height - 1) / 2)
            x, y = (float(v) for v in (np.array(size) - 1) / 2 + rng.normal(0, 2, 2))
            mirror = width - 1.0 if rng.random() < 0.5 else 0.0
            move = Move(scale, math.radians(rng.normal(0, 4)), x, y, about, mirror)
        else:
            move = self._move(source, size, rng, margin=0.0)
            covers = move.scale * min(width, height) > 0.5 * max(size)
            if not covers:  # what a border repeated so far shows is no picture
                return self._set_in(Frame(self._empty(size, rng)), source, move, rng)
        frame = Frame(warped(source, move, size, cv2.BORDER_REPLICATE))
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

    def _crowd(self, size: tuple[int, int], rng: np.random.Generator) -> Frame:
        """Many small faces, with what is around them, in a picture without faces."""
        frame = Frame(self._empty(size, rng)) if rng.random() < 0.4 else self._tiled(size, rng, most_faces=0)
        for _ in range(int(rng.integers(2, 10))):
            source = self._pick(rng)
            frame = self._set_in(frame, source, self._move(source, size, rng, margin=0.03, most=SMALL), rng)
        return frame

    def _tiled(self, size: tuple[int, int], rng: np.random.Generator, most_faces: float = 1.0) -> Frame:
        """Pictures beside each other, as small as to be seen whole: in some are faces, in others none."""
        frame = Frame(np.zeros((size[1], size[0]), np.uint8))
        columns, rows = (np.unique([0, *self._cuts(length, rng), length]) for length in size)
        with_faces = min(most_faces, float(rng.choice((0.0, 0.1, 0.2, 0.4, 0.8))))
        for top, bottom in itertools.pairwise(rows.tolist()):
            for left, right in itertools.pairwise(columns.tolist()):
                tile = self._tile((right - left, bottom - top), rng, with_face=rng.random() < with_faces)
                frame.pixels[top:bottom, left:right] = tile.pixels
                frame.faces += [replace(c, x=c.x + left, y=c.y + top) for c in tile.faces]
                frame.ignore += [replace(c, x=c.x + left, y=c.y + top) for c in tile.ignore]
        for _ in range(int(rng.integers(0, 4)) if most_faces and rng.random() < 0.5 else 0):
            source = self._pick(rng)
            frame = self._set_in(frame, source, self._move(source, size, rng, margin=0.03, most=SMALL), rng)
        return frame

    def _cuts(self, length: int, rng: np.random.Generator) -> list[int]:
        """Where a side of `length` pixels is cut into tiles of some 20 pixels to all of it."""
        count = int(rng.integers(1, max(2, length // 22)))
        return [round(length * (k + rng.uniform(-0.2, 0.2)) / count) for k in range(1, count)]

    def _tile(self, size: tuple[int, int], rng: np.random.Generator, *, with_face: bool) -> Frame:
        """A picture that covers `size`: with its faces, one of them in sight, or a part of it without a face."""
        source = self._pick(rng, known=True)
        for _ in range(TRIES):
            move = self._covering(source, size, rng, with_face=with_face)
            crops, others = ([move.crop(c) for c in found] for found in (source.faces, source.ignore))
            if with_face or not any(_meets(crop, size) for crop in (*crops, *others)):
                break
        pixels = warped(source, move, size, cv2.BORDER_REFLECT_101)
        if not with_face:
            for crop in (*crops, *others):
                paint_out(pixels, crop, rng)
            return Frame(pixels)
        seen = [share(np.ones(pixels.shape, np.float32), crop) for crop in crops]
        cut = [crop for crop, part in zip(crops, seen, strict=True) if 0.15 < part <= 0.7]
        return Frame(pixels, [c for c, part in zip(crops, seen, strict=True) if part > 0.7], [*others, *cut])

    def _covering(self, source: Source, size: tuple[int, int], rng: np.random.Generator, *, with_face: bool) -> Move:
        """A move after which `source` covers `size`, a face or any point of it near the middle."""
        height, width = source.levels[0].shape
        scale = max(size[0] / width, size[1] / height) * math.exp(rng.uniform(0, 0.5 if with_face else 1.5))
        roll = math.radians(rng.uniform(-60, 60) if rng.random() < 0.3 else rng.normal(0, 5))
        mirror = width - 1.0 if rng.random() < 0.5 else 0.0
        about = (rng.uniform(0.02, 0.98) * width, rng.uniform(0.02, 0.98) * height)
        if with_face:
            face = source.faces[rng.integers(len(source.faces))]
            about = (mirror - face.x if mirror else face.x, face.y)
        # as near the middle as the picture's edges let it come
        x, y = (
            float(np.clip(rng.uniform(0.25, 0.75) * side, side - (length - at) * scale, at * scale))
            for side, length, at in zip(size, (width, height), about, strict=True)
        )
        return Move(scale, roll, x, y, about, mirror)

    def _nobody(self, size: tuple[int, int], rng: np.random.Generator) -> Frame:
        """A frame without a face."""
        return Frame(self._empty(size, rng))

    def _move(
        self, source: Source, size: tuple[int, int], rng: np.random.Generator, *, margin: float, most: float = math.inf
    ) -> Move:
        """A move that brings one face of `source` somewhere, at some roll and some size up to `most`."""
        c = self.config
        face = source.faces[rng.integers(len(source.faces))]
        largest = min(c.most_side, 1.35 * max(size), most)
        side = math.exp(rng.uniform(math.log(c.least_side), math.log(largest)))
        turn = math.radians(c.most_roll_deg)
        turned = rng.uniform(-turn, turn) if rng.random() < 0.5 else rng.normal(0, math.radians(c.flat_roll_deg))
        mirror = source.levels[0].shape[1] - 1.0 if rng.random() < 0.5 else 0.0
        own = -face.roll if mirror else face.roll
        about = (mirror - face.x if mirror else face.x, face.y)
        x = rng.uniform(-0.02 + margin, 1.02 - margin) * size[0]
        y = rng.uniform(-0.02 + margin, 1.02 - margin) * size[1]
        return Move(side / face.side, float(np.clip(own * 0.5 + turned, -turn, turn)) - own, x, y, about, mirror)

    def _set_in(self, frame: Frame, source: Source, move: Move, rng: np.random.Generator) -> Frame:
        """`frame` with the moved `source` set into it: whole, or its face with a little or much around."""
        height, width = frame.pixels.shape
        size = (width, height)
        rows, columns = source.levels[0].shape
        outline = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64) - 0.5
        mask = np.zeros((height, width), np.uint8)
        fill(mask, outline, move)
        if not source.known or rng.random() > 0.45:
            crop = source.faces[0]
            reach = crop.side * rng.uniform(0.62, 1.2)
            angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
            wide, high = reach * rng.uniform(0.8, 1.1), reach * rng.uniform(1.0, 1.3)
            inside = np.zeros_like(mask)
            ellipse = np.stack([crop.x + wide * np.cos(angles), crop.y + 0.05 * crop.side + high * np.sin(angles)], 1)
            fill(inside, ellipse, move)
            mask &= inside
        cover: NDArray[np.floating] = mask.astype(np.float32) / 255
        if rng.random() < 0.6:
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.5, 2.0))))
        patch = warped(source, move, size, cv2.BORDER_REPLICATE).astype(np.float32)
        base = frame.pixels.astype(np.float32)
        if rng.random() < 0.4:  # the light of where it is set
            patch = patch + (float(base.mean()) - float(patch.mean())) * rng.uniform(0.3, 1.0)
        pixels = np.clip(base * (1 - cover) + patch * cover, 0, 255).astype(np.uint8)
        hidden = [(c, share(cover, c)) for c in frame.faces]
        seen = [(move.crop(c), share(cover, move.crop(c))) for c in source.faces]
        ignore = [*frame.ignore, *(move.crop(c) for c in source.ignore)]
        ignore += [c for c, share in hidden if 0.3 < share < 0.8]
        ignore += [c for c, share in seen if 0.25 < share <= 0.5]
        faces = [c for c, share in hidden if share <= 0.3] + [c for c, share in seen if share > 0.5]
        return Frame(pixels, faces, ignore)

    def _empty(self, size: tuple[int, int], rng: np.random.Generator) -> Grey:
        """A frame without a face: part of a photograph with its faces painted out, a texture, or a drawing."""
        if rng.random() < 0.2:
            return backdrop(size, rng)
        source = self.photographs[rng.integers(len(self.photographs))]
        height, width = source.levels[0].shape
        scale = max(size[0] / width, size[1] / height) * math.exp(rng.uniform(-0.1, 1.3))
        about = (rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height)
        roll = math.radians(rng.normal(0, 12) + (90 * rng.integers(4) if rng.random() < 0.15 else 0))
        move = Move(scale, roll, size[0] / 2, size[1] / 2, about)
        pixels = warped(source, move, size, cv2.BORDER_REPLICATE)
        for crop in (*source.faces, *source.ignore):
            paint_out(pixels, move.crop(crop), rng)
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
            shown = share(ones, crop) > 1 - HIDDEN
            (faces if inside and fits and straight and shown else ignore).append(crop)
        return Frame(frame.pixels, faces, ignore)


def _letterboxed(frame: Frame) -> Frame:
    """`frame` in the middle of the network's input, with its border repeated."""
    height, width = frame.pixels.shape
    left, top = (INPUT_SIZE[0] - width) // 2, (INPUT_SIZE[1] - height) // 2
    right, bottom = INPUT_SIZE[0] - width - left, INPUT_SIZE[1] - height - top
    pixels = cv2.copyMakeBorder(frame.pixels, top, bottom, left, right, cv2.BORDER_REPLICATE)
    faces, ignore = ([replace(c, x=c.x + left, y=c.y + top) for c in crops] for crops in (frame.faces, frame.ignore))
    return Frame(np.asarray(pixels, np.uint8), faces, ignore)


def _meets(crop: Crop, size: tuple[int, int]) -> bool:
    """Whether any of a face may be seen in a picture of `size`."""
    reach = 0.6 * crop.side
    return all(-reach < at < length + reach for at, length in zip((crop.x, crop.y), size, strict=True))
