"""`fkp-edge predict`: faces and keypoints in pictures, folders and videos."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import cv2

from fkp_edge.cli.terminal import print_error, quiet_runtime
from fkp_edge.core.drawing import draw_face
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Face
from fkp_edge.data import find_pictures
from fkp_edge.data.decoder import Decoder
from fkp_edge.data.pictures import VIDEOS, decode_picture
from fkp_edge.device.annotation import follow_video
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.errors import InputError, SourceError
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

__all__ = ["open_model_of", "predict"]


def open_model_of(args: Namespace) -> KeypointModel:
    """The model that `--model` names, else the shipped int8 one."""
    with quiet_runtime():
        return open_model(
            args.model or shipped_model(),
            threads=args.threads,
            card_required=not args.no_card,
            accelerator=args.accelerator,
        )


def predict(args: Namespace) -> int:
    """Prints what the model finds in each picture or video, draws it where asked; 2 where one could not be read."""
    videos = [path for path in args.paths if path.suffix.lower() in VIDEOS and path.is_file()]
    paths = [path for given in args.paths if given not in videos for path in find_pictures(given)]
    with Decoder() as decoder:
        if paths:
            decoder.start()  # it imports OpenCV while the models open here
        model = open_model_of(args)
        finder = ImageDetector(model, ImageSettings(method=args.search))
        if args.draw:
            _check_drawing([*paths, *videos], args.draw)
            _make_folder(args.draw)
        unreadable = 0
        for path in paths:
            unreadable += not _predict_one(path, decoder, finder, model.schema, args)
    for path in videos:
        unreadable += not _predict_video(path, model, args)
    if args.draw and unreadable < len(paths) + len(videos):
        kinds = [kind for kind, some in (("png", paths), ("mp4", videos)) if some]
        print(f"drawn: {', '.join(str(args.draw / f'*-points.{kind}') for kind in kinds)}", file=sys.stderr)
    return 2 if unreadable else 0


def _predict_video(path: Path, model: KeypointModel, args: Namespace) -> bool:
    """Prints and draws the faces of one video, a JSON line a frame; False where it cannot be read."""
    frames = with_face = 0
    ids: set[int] = set()
    try:
        drawn = args.draw / f"{path.stem}-points.mp4" if args.draw else None
        for observation in follow_video(path, model, method=args.search, drawn=drawn):
            frames += 1
            with_face += bool(observation.faces)
            ids |= {face.id for face in observation.faces}
            if args.json:
                found = [{"id": face.id, **_plain(face)} for face in observation.faces]
                print(json.dumps({"image": str(path), "frame": observation.sequence, "faces": found}), flush=True)
    except SourceError as error:  # the others are still wanted
        print_error(error)
        return False
    if not args.json:
        print(f"{path}: {frames} frames, {with_face} with a face, {len(ids)} followed", flush=True)
    return True


def _predict_one(path: Path, decoder: Decoder, finder: ImageDetector, schema: Schema, args: Namespace) -> bool:
    """Prints and draws the faces of one picture; False where it cannot be read."""
    try:
        picture, factor = decode_picture(path, decoder, color=True)
    except InputError as error:  # the other pictures are still wanted
        print_error(error)
        return False
    faces = finder.find(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))  # type: ignore[arg-type]
    if args.draw:
        for face in faces:
            draw_face(picture, face.points, schema, box=face.box, label=f"{face.id}: {face.score:.2f}")
        write_whole({args.draw / f"{path.stem}-points.png": cv2.imencode(".png", picture)[1].tobytes()})
    faces = [face.enlarged(factor) for face in faces]
    if args.json:
        print(json.dumps({"image": str(path), "faces": [_plain(face) for face in faces]}), flush=True)
    else:
        places = ["score {:.2f} at {:.0f},{:.0f} {:.0f}x{:.0f}".format(f.score, *f.box) for f in faces]
        print(f"{path}: {'; '.join(places) or 'no face'}", flush=True)
    return True


def _plain(face: Face) -> dict[str, Any]:
    return {
        "box": [round(v, 2) for v in face.box],
        "score": round(face.score, 3),
        "points": [[round(float(v), 2) for v in point] for point in face.points],
    }


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
