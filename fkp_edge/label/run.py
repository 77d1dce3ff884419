"""`label`: from pictures or a video to face chips with points, in a folder that `train` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_points, sheet
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Points, Schema, from_ibug68
from fkp_edge.data import find_pictures, read_picture
from fkp_edge.data.chips import cut_chip
from fkp_edge.data.pictures import VIDEOS, kind_of
from fkp_edge.data.readers import format_pts, read_pts
from fkp_edge.device.sources.files import VideoSource
from fkp_edge.errors import InputError
from fkp_edge.label.journal import Done, Face, Journal, Settings
from fkp_edge.label.teachers import Marked, Teacher

__all__ = ["SURE", "Labelled", "Labelling", "label"]

SURE = 0.05
"""Disagreement from which a teacher counts as unsure."""
TILES, COLUMNS, TILE = 48, 8, 160

Grey = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """How to label."""

    schema: Schema
    """Which points are written."""
    sure: float = SURE
    """Faces with a larger disagreement are left out; see `teachers.Marked`."""
    every_s: float = 0.5
    """Of a video, one frame in so many seconds is looked at: neighbours show the same."""


@dataclass(frozen=True)
class Labelled:
    """What came of it."""

    looked_at: int
    """Pictures or frames."""
    faces: int
    """Written, each as NAME.jpg and NAME.pts."""
    unsure: int
    """Left out, because picture and mirror image disagree."""
    without: int
    """Pictures or frames in which the teacher saw no face."""
    unreadable: tuple[str, ...]
    """Files that are no pictures, and why."""
    sheet: Path | None
    """Labelled faces to look at; None where there are none."""


def label(
    source: Path,
    teacher: Teacher,
    out: Path,
    how: Labelling,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Labelled:
    """Labels the faces in `source` and writes a chip and its .pts for each to `out`.

    Every face is written whole or not at all. What is done already is not done again: after a stop, the same call goes
    on.

    Args:
        source: a picture, a folder of pictures, or a video.
        teacher: marks the points.
        out: a folder of its own, made where missing; `out/about` has the disagreement of each face, and a sheet.
        how: which points, and how sure.
        progress: told how many pictures or frames are done, and how many there are (0 where a video does not say).

    Raises:
        InputError: `source` holds nothing to label or no face, `out` holds something else, the teacher's points are
            others, or the disk is full.
        SourceError: the video is damaged.
    """
    if teacher.schema.size < how.schema.size:
        raise InputError(
            f"{teacher.name} marks {teacher.schema.size} points; expected a teacher of {how.schema.size}, or --schema "
            f"{teacher.schema.name}"
        )
    items = _items(source, how)
    settings = Settings(
        source=str(source.resolve()),
        teacher=teacher.name,
        schema=how.schema.name,
        sure=how.sure,
        every_s=how.every_s,
    )
    journal = Journal(out, settings)
    unreadable: list[str] = []
    for number, (item, stem, read) in enumerate(items.each, 1):
        if item not in journal.done:
            try:
                picture = read()
            except InputError as error:
                unreadable.append(str(error))
                continue
            marked = teacher.mark(picture)
            journal.add(Done(item, tuple(_write(out, stem, picture, marked, teacher, how))))
        if progress:
            progress(number, items.total)
    faces = [face for done in journal.done.values() for face in done.faces]
    if not journal.done:
        reason = unreadable[0] if unreadable else "it ends before its first frame"
        raise InputError(f"nothing in {source} can be labelled: {reason}")
    if not faces:
        raise InputError(f"no face is seen in any of the {len(journal.done)} pictures of {source}; expected faces")
    kept = [face for face in faces if face.name]
    return Labelled(
        looked_at=len(journal.done),
        faces=len(kept),
        unsure=len(faces) - len(kept),
        without=sum(not done.faces for done in journal.done.values()),
        unreadable=tuple(unreadable),
        sheet=_draw_sheet(out, kept, how.schema, journal.folder / "sheet.png") if kept else None,
    )


@dataclass(frozen=True)
class _Items:
    """What to look at, in order: key in the journal, stem of the chips, and how to read the picture."""

    each: Iterator[tuple[str, str, Callable[[], Grey]]]
    total: int


def _items(source: Path, how: Labelling) -> _Items:
    if source.is_file() and source.suffix.lower() in VIDEOS:
        return _Items(_frames(source, how.every_s), 0)
    if source.is_file() and (kind := kind_of(source)) != "a picture":
        raise InputError(f"{source} is {kind}; expected a picture, a folder of pictures or a video")
    paths = find_pictures(source)
    stems: dict[str, Path] = {}
    for path in paths:
        if (other := stems.setdefault(path.stem, path)) != path:
            raise InputError(f"{other} and {path} have one name, so one's labels would replace the other's; rename one")
    return _Items(((path.name, path.stem, partial(read_picture, path)) for path in paths), len(paths))


def _frames(path: Path, every_s: float) -> Iterator[tuple[str, str, Callable[[], Grey]]]:
    with closing(VideoSource(path, pace=False)) as video:
        step = max(1, round(every_s * video.rate))
        while (frame := video.read()) is not None:
            if frame.sequence % step == 0:
                yield str(frame.sequence), f"{path.stem}-{frame.sequence:06d}", partial(np.asarray, frame.grey)


def _write(
    out: Path, stem: str, picture: Grey, marked: Sequence[Marked], teacher: Teacher, how: Labelling
) -> Iterator[Face]:
    """Writes the chips of one picture whose labels are sure."""
    for number, face in enumerate(marked, 1):
        if not face.disagreement <= how.sure:
            yield Face("", face.disagreement)
            continue
        name = stem if number == 1 else f"{stem}-{number}"
        points = face.points if teacher.schema is how.schema else from_ibug68(face.points, how.schema)
        chip = cut_chip(picture, points)
        write_whole({out / f"{name}.jpg": chip.coded(), out / f"{name}.pts": format_pts(chip.points).encode()})
        yield Face(name, face.disagreement)


def _draw_sheet(out: Path, faces: list[Face], schema: Schema, path: Path) -> Path:
    """A sheet of labelled faces from the surest to the least sure, with their disagreement in percent."""
    order = sorted(faces, key=lambda face: face.disagreement)
    shown = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, TILES).round().astype(int))]
    tiles = []
    for face in shown:
        chip, points = read_picture(out / f"{face.name}.jpg"), read_pts(out / f"{face.name}.pts", schema)
        tiles.append(_tile(chip, points, f"{100 * face.disagreement:.1f} %"))
    write_whole({path: cv2.imencode(".png", sheet(tiles, columns=min(COLUMNS, len(tiles))))[1].tobytes()})
    return path


def _tile(chip: Grey, points: Points, text: str) -> Grey:
    """The face as large as the tile, with its points."""
    low, high = points.min(0), points.max(0)
    scale = TILE / (1.3 * max(1.0, float((high - low).max())))
    move = TILE / 2 - scale * (low + high) / 2
    matrix = np.array([[scale, 0, move[0]], [0, scale, move[1]]])
    turned = cv2.warpAffine(chip, matrix, (TILE, TILE), borderMode=cv2.BORDER_REPLICATE)
    tile: NDArray[np.uint8] = cv2.cvtColor(turned, cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    draw_points(tile, points * scale + move, color=(80, 220, 80))
    cv2.putText(tile, text, (6, TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return tile
