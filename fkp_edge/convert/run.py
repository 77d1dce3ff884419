"""`convert`: from a trained network to model files that describe themselves, with what int8 lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge.convert.quantize import calibration_crops, to_float32, to_int8, with_bias
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.data import FaceSet
from fkp_edge.data.portrait import portrait, portrait_points
from fkp_edge.errors import InputError
from fkp_edge.evaluate import evaluate
from fkp_edge.geometry import CROP_SIZE, Crop, box_around, crop_from_box, crop_from_labels, extract
from fkp_edge.interpreter import KeypointModel, list_operators
from fkp_edge.keypoints import FKP15, schema_named
from fkp_edge.model_file import Card, GoldenCase, ModelFile, encode_model_file, write_whole
from fkp_edge.train.backend import keras
from fkp_edge.train.saved import load_trained

__all__ = ["ConvertResult", "check_free", "convert"]


@dataclass(frozen=True, eq=False)
class ConvertResult:
    """What a conversion gives; `save` writes it."""

    files: dict[str, tuple[bytes, Card, tuple[GoldenCase, ...]]]
    """Precision (float32, int8) -> flatbuffer, card and golden cases."""
    accuracy: dict[str, dict[str, Any]]
    """Validation set -> figures of float32 and int8, and the relative loss of int8 in percent."""

    def save(self, out: Path, *, overwrite: bool = False) -> dict[str, Path]:
        """Writes the int8 file to `out` and the float32 one beside it, both or none; their paths by precision.

        Raises:
            InputError: a file exists and `overwrite` is not given, or the folder cannot be written.
        """
        paths = check_free(out, overwrite=overwrite)
        write_whole({path: encode_model_file(*self.files[precision]) for precision, path in paths.items()})
        return paths


def check_free(out: Path, *, overwrite: bool) -> dict[str, Path]:
    """Where a conversion to `out` writes, by precision; asked before the work begins.

    Raises:
        InputError: a file exists and `overwrite` is not given, or the folder does not.
    """
    paths = {"int8": out, "float32": out.with_name(f"{out.stem.removesuffix('-int8')}-float32{out.suffix}")}
    taken = [path for path in paths.values() if path.exists()]
    if taken and not overwrite:
        raise InputError(f"{taken[0]} already exists; name another --out or add --overwrite")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder; make it, or name another --out")
    return paths


def convert(model_path: Path, recipe: ConvertRecipe, *, data_dir: Path) -> ConvertResult:
    """Converts the network at `model_path` to float32 and int8 TFLite and compares the two.

    Args:
        model_path: a .keras file that `fkp-edge train` wrote, its model.json beside it.
        recipe: how to quantise and what to compare on.
        data_dir: folder that the recipe's folders lie in.

    Raises:
        InputError: the model, its description or a data folder is missing or does not fit.
    """
    model, described = load_trained(model_path)
    schema = schema_named(described["schema"])
    calibration = [data.load_one(data_dir / folder, schema) for folder in recipe.calibration.folders]
    validation = [data.load_one(data_dir / folder, schema) for folder in recipe.val]
    flatbuffers = {"float32": to_float32(model), "int8": _quantise(model, described, recipe, calibration)}
    cards = {
        precision: _card(flatbuffer, precision, described, recipe) for precision, flatbuffer in flatbuffers.items()
    }
    models = {
        precision: KeypointModel(ModelFile(model_path, flatbuffer, cards[precision]))
        for precision, flatbuffer in flatbuffers.items()
    }
    accuracy = {faces.name: _compare(models, faces) for faces in validation}
    files = {
        precision: (flatbuffers[precision], _with_accuracy(cards[precision], accuracy), _golden(models[precision]))
        for precision in flatbuffers
    }
    return ConvertResult(files, accuracy)


def _quantise(model: keras.Model, described: dict[str, Any], recipe: ConvertRecipe, sets: list[FaceSet]) -> bytes:
    """The int8 flatbuffer, converted twice where the recipe corrects the bias: the first shows how far it is off."""
    calibration = recipe.calibration
    crops = calibration_crops(sets, calibration.count, calibration.seed)
    flatbuffer = to_int8(model, crops)
    if not calibration.bias_crops:
        return flatbuffer
    faces = calibration_crops(sets, calibration.bias_crops, calibration.seed + 1)
    first = KeypointModel(ModelFile(Path(), flatbuffer, _card(flatbuffer, "int8", described, recipe)))
    found = np.stack([first.predict(crop)[0] - first.mean_shape for crop in faces]).reshape(len(faces), -1)
    wanted = model.predict(faces[..., None].astype(np.float32), batch_size=128, verbose=0)["keypoints"]
    return to_int8(with_bias(model, (wanted - found).mean(0)), crops)


def _card(flatbuffer: bytes, precision: str, described: dict[str, Any], recipe: ConvertRecipe) -> Card:
    calibration = recipe.calibration
    how = (
        f"post-training, int8 weights per channel, {calibration.count} calibration crops of "
        f"{', '.join(calibration.folders)}, seed {calibration.seed}"
    )
    if calibration.bias_crops:
        how += f"; last layer's bias corrected on {calibration.bias_crops} others"
    file = ModelFile(Path(), flatbuffer, None)
    return Card(
        name=described["recipe"]["name"],
        schema=described["schema"],
        mean_shape=tuple((float(x), float(y)) for x, y in described["mean_shape"]),
        has_score=described["has_score"],
        flatbuffer_sha256=file.sha256,
        flatbuffer_bytes=len(flatbuffer),
        precision=precision,
        quantisation=how if precision == "int8" else "",
        parameters=described["parameters"],
        training=described["recipe"],
        licence=described["recipe"]["data"]["note"],
        operators=list_operators(flatbuffer),
        accuracy={},
    )


def _with_accuracy(card: Card, accuracy: dict[str, dict[str, Any]]) -> Card:
    figures = {
        name: {
            "crops": "gt",
            "faces": compared["float32"]["faces"],
            "float_nme_percent": compared["float32"]["nme_percent"],
            "nme_percent": compared[card.precision]["nme_percent"],
        }
        for name, compared in accuracy.items()
    }
    return msgspec.structs.replace(card, accuracy=figures)


def _compare(models: dict[str, KeypointModel], faces: FaceSet) -> dict[str, Any]:
    figures: dict[str, Any] = {precision: evaluate(model, faces).figures for precision, model in models.items()}
    before, after = figures["float32"], figures["int8"]
    figures["loss_percent"] = 100 * (after["nme_percent"] / before["nme_percent"] - 1)
    figures["loss_per_point_percent"] = {
        name: 100 * (after["per_point_percent"][name] / value - 1)
        for name, value in before["per_point_percent"].items()
    }
    return figures


def _golden(model: KeypointModel) -> tuple[GoldenCase, ...]:
    """What `model` makes of the portrait, small and off centre, large, and of a drawn pattern without a face."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    left, top = 150, 50
    small: NDArray[np.uint8] = np.ascontiguousarray(grey[top:210, left:310])
    aim = crop_from_labels(portrait_points() - np.array([left, top], np.float32), FKP15)
    zoom = 1.9  # the face then spans over two crop widths: the path that averages down first
    large = cv2.resize(small, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    middle = (zoom - 1) / 2
    ramp = np.add.outer(np.arange(120) % 64, np.arange(160) % 48) * 2
    cases: list[tuple[NDArray[np.uint8], Crop]] = [
        (small, Crop(aim.x - 4, aim.y + 3, aim.side * 1.1)),
        (large, Crop(aim.x * zoom + middle, aim.y * zoom + middle, max(aim.side * zoom, 2.0 * CROP_SIZE))),  # type: ignore[list-item]
        (ramp.astype(np.uint8), Crop(80, 60, 90)),
    ]
    return tuple(_golden_case(model, frame, crop) for frame, crop in cases)


def _golden_case(model: KeypointModel, frame: NDArray[np.uint8], aim: Crop) -> GoldenCase:
    box = box_around(aim)
    crop = crop_from_box(box)
    pixels = extract(frame, crop)
    keypoints, score = model.invoke(pixels)
    points = crop.to_frame(model.decode(keypoints, score)[0])
    return GoldenCase(frame, box, pixels, keypoints, score, points)
