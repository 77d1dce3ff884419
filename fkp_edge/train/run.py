"""`train`: from a recipe and a data folder to a trained network, its figures and pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE, box_around, crop_from_box, crop_from_labels, extract
from fkp_edge.core.keypoints import IBUG68, Schema, schema_named
from fkp_edge.data import FaceSet, Scene, read_picture
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import Propose, judge_boxes
from fkp_edge.evaluation.metrics import summarise
from fkp_edge.train import plots
from fkp_edge.train.backend import keras, strategy_for
from fkp_edge.train.batches import BatchMaker, TrainingSet
from fkp_edge.train.fit import Fitter, predict_faces
from fkp_edge.train.inputs import Inputs
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.proposals import face_boxes, mine_negatives, proposals_on
from fkp_edge.train.recipe import Recipe
from fkp_edge.train.saved import carry_weights, load_trained, save_trained
from fkp_edge.train.twin import settle_norms

__all__ = ["TrainResult", "apply_temperature", "best_temperature", "train"]

CANDIDATES = np.geomspace(0.5, 8.0, 201)


def best_temperature(logits: NDArray[np.floating], is_face: NDArray[np.bool_]) -> float:
    """The divisor of `logits` (N,) with the least cross-entropy against `is_face` (N,)."""
    signed = np.where(is_face, -1.0, 1.0) * np.asarray(logits, np.float64)
    losses = [np.logaddexp(0.0, signed / temperature).mean() for temperature in CANDIDATES]
    return float(CANDIDATES[int(np.argmin(losses))])


def apply_temperature(model: keras.Model, scenes: Sequence[Scene], propose: Propose) -> float:
    """Fits the temperature on the boxes that `propose` gives in `scenes` and folds it into the model; returns it."""
    crops, truth = [], []
    pictures = [read_picture(scene.path) for scene in scenes]
    proposals = proposals_on(pictures, propose, "validation photographs")
    for scene, picture, boxes in zip(scenes, pictures, proposals, strict=True):
        faces = [box_around(crop_from_labels(face, IBUG68)) for face in scene.faces]
        for box, is_face in judge_boxes(boxes, faces, scene.ignore):
            crops.append(extract(picture, crop_from_box(box)))
            truth.append(is_face)
    if not crops:
        raise InputError("the detector proposes no box in the recipe's data.val_scenes; expected photographs of faces")
    layer = model.get_layer("score_logit")
    logits = keras.Model(model.input, layer.output).predict(
        np.stack(crops).astype(np.float32)[..., None], batch_size=128, verbose=0
    )
    temperature = best_temperature(logits.ravel(), np.array(truth))
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
    return temperature


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What `train` left behind."""

    model: Path
    """tf-keras model file; beside it model.json with recipe, schema and figures. For knn: figures.json."""
    validation: dict[str, Any]
    """Figures by validation set."""


def train(
    recipe: Recipe,
    inputs: Inputs,
    *,
    out: Path,
    propose: Propose,
    start: Path | None = None,
    trust_code: bool = False,
    resume: bool = False,
) -> TrainResult:
    """Trains `recipe` on the faces of `inputs` and writes the run to `out`.

    Args:
        recipe: what to train.
        inputs: what `read_inputs` found.
        out: folder for checkpoints, model, curves and pictures; made where missing.
        propose: a face detector; its right boxes frame training crops, its wrong ones become negatives of the score.
        start: model.keras of an earlier run, or a float model file, whose weights this one goes on from; random where
            None.
        trust_code: takes a `start` that carries code, which runs then; see `containers.open_keras`.
        resume: go on from the newest checkpoint in `out`.

    Raises:
        InputError: `start` cannot be used, or `out` holds a run of another network.
    """
    schema = schema_named(recipe.schema)
    strategy_for(recipe.fit.replicas)  # TensorFlow fixes its devices when it first works, and reading a network is work
    if start:
        load_trained(start, trust_code=trust_code)  # says what is wrong with it before minutes of looking for boxes
    sets = [(faces.in_memory(), times) for faces, times in inputs.train]
    validation = inputs.val
    before = _prepare_folder(out, recipe)
    negatives = mine_negatives(inputs.scenes, propose)
    boxes = face_boxes([faces for faces, _ in sets], propose)
    training = [TrainingSet(faces, times, framing) for (faces, times), framing in zip(sets, boxes, strict=True)]

    batches = BatchMaker(training, negatives, recipe)
    fitter = Fitter(
        recipe=recipe,
        schema=schema,
        build=lambda: _build(batches, schema, start, trust_code),
        batches=batches,
        validation=validation,
        out=out,
    )
    if resume:
        _say_schedule(fitter.resume(), before.fit.epochs, recipe.fit.epochs)
    model = fitter.run()
    temperature = apply_temperature(model, inputs.val_scenes, propose) if inputs.val_scenes else 1.0
    figures = {faces.name: _evaluate(model, faces, schema) for faces in validation}
    save_trained(model, recipe, schema, {"score_temperature": temperature, "validation": figures}, out)
    plots.draw_run(out, model, validation, schema, figures)
    return TrainResult(out / "model.keras", figures)


def _say_schedule(done: int, before: int, now: int) -> None:
    """What a run that goes on with another number of epochs does."""
    if done >= now:
        log.warning("%d of %d epochs are done: nothing is left to train", done, now)
    elif done and before != now:
        log.warning(
            "the run was planned for %d epochs and goes on after %d to %d: its learning rate jumps to the cosine that "
            "ends there",
            before,
            done,
            now,
        )


def _build(batches: BatchMaker, schema: Schema, start: Path | None, trust_code: bool) -> keras.Model:
    model = build_keypointnet(batches.recipe.network, schema.size)
    if start and (left := carry_weights(start, model, schema, trust_code=trust_code)):
        log.warning("%s has no weights for %s: these start at random", start, ", ".join(left))
    if start and start.suffix == ".tflite":
        settle_norms(model, next(batches.epoch(0)).pixels)
    return model


def _prepare_folder(out: Path, recipe: Recipe) -> Recipe:
    """Makes `out` and notes the recipe there; the one noted before, which must be of the same network."""
    noted = out / "recipe.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        before = msgspec.json.decode(noted.read_bytes(), type=Recipe) if noted.exists() else recipe
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"cannot use {out} for a run: {error}; name another --out") from error
    if (before.network, before.schema) != (recipe.network, recipe.schema):
        raise InputError(f"{out} holds a run of another network or schema; name another --out")
    write_whole({noted: msgspec.json.format(msgspec.json.encode(recipe), indent=1)})
    return before


def _evaluate(model: keras.Model, faces: FaceSet, schema: Schema) -> dict[str, Any]:
    points, _ = predict_faces(model, faces, schema.mean_shape)
    scale = [CROP_SIZE / faces.crop(i).side for i in range(len(faces))]
    return summarise(points, faces.points, schema, np.array(scale), faces.subject)
