"""`fkp-edge predict`: faces and keypoints in pictures and folders."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import cv2

from fkp_edge.cli.network import open_model_of
from fkp_edge.cli.terminal import print_error
from fkp_edge.core.drawing import draw_face
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Schema
from fkp_edge.data import find_pictures
from fkp_edge.data.decoder import Decoder
from fkp_edge.data.pictures import decode_picture
from fkp_edge.device.image_detector import StillFinder, StillSettings
from fkp_edge.errors import InputError

__all__ = ["predict"]


def predict(args: Namespace) -> int:
    """Prints what the model finds in each picture, draws it where asked; 2 where a picture could not be read."""
    model = open_model_of(args)
    paths = [path for given in args.paths for path in find_pictures(given)]
    finder = StillFinder(model, StillSettings(method=args.search))
    if args.draw:
        _check_drawing(paths, args.draw)
        _make_folder(args.draw)
    unreadable = 0
    with Decoder() as decoder:
        for path in paths:
            unreadable += not _predict_one(path, decoder, finder, model.schema, args)
    if args.draw and unreadable < len(paths):
        print(f"drawn: {args.draw / '*-points.png'}", file=sys.stderr)
    return 2 if unreadable else 0


def _predict_one(path: Path, decoder: Decoder, finder: StillFinder, schema: Schema, args: Namespace) -> bool:
    """Prints and draws the faces of one picture; False where it cannot be read."""
    try:
        picture, factor = decode_picture(path, decoder, color=True)
    except InputError as error:  # the other pictures are still wanted
        print_error(error)
        return False
    faces = finder.find(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))  # type: ignore[arg-type]
    if args.draw:
        for face in faces:
            draw_face(picture, face.points, schema, box=face.box)
        write_whole({args.draw / f"{path.stem}-points.png": cv2.imencode(".png", picture)[1].tobytes()})
    faces = [face.enlarged(factor) for face in faces]
    found = [
        {
            "box": [round(v, 2) for v in face.box],
            "score": round(face.score, 3),
            "points": [[round(float(v), 2) for v in point] for point in face.points],
        }
        for face in faces
    ]
    if args.json:
        print(json.dumps({"image": str(path), "faces": found}), flush=True)
    else:
        places = ["score {:.2f} at {:.0f},{:.0f} {:.0f}x{:.0f}".format(f.score, *f.box) for f in faces]
        print(f"{path}: {'; '.join(places) or 'no face'}", flush=True)
    return True


def _check_drawing(paths: list[Path], folder: Path) -> None:
    """Drawings must not overwrite each other, nor be taken for input the next time."""
    seen: dict[str, Path] = {}
    for path in paths:
        if path.resolve().parent == folder.resolve():
            raise InputError(f"--draw {folder} holds {path.name} itself; name a folder of its own")
        if (other := seen.setdefault(path.stem, path)) != path:
            raise InputError(f"{other} and {path} have one name, so --draw would keep one only; draw them separately")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {path}: {error.strerror or error}; name another --draw") from error
