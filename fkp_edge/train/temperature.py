"""Temperature of the score: divides its logit so that it is the probability that it claims to be.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017. A network trained to the end is overconfident; its int8
score would then sit at the last step of the output's scale for nearly every face and rank none above another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import box_around, crop_from_box, crop_from_labels, extract
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data import Scene, read_picture
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import Propose, judge_boxes
from fkp_edge.train.backend import keras
from fkp_edge.train.proposals import proposals_on

__all__ = ["apply_temperature", "best_temperature"]

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
