"""The score's temperature."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.data import FaceSet, Scene
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network
from fkp_edge.train.run import apply_temperature, best_temperature


@pytest.mark.parametrize("true_temperature", [1.0, 2.5])
def test_recovers_the_temperature_that_made_the_labels(true_temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, 20_000)
    is_face = rng.random(20_000) < 1 / (1 + np.exp(-logits / true_temperature))
    assert best_temperature(logits, is_face) == pytest.approx(true_temperature, rel=0.06)


def test_the_models_logit_is_divided_by_it(tmp_path: Path, faces: FaceSet) -> None:
    cv2.imwrite(str(tmp_path / "scene.png"), faces.images[0])
    model = build_keypointnet(Network(blocks=((8, 2, 1),)), 15)
    before = model.get_layer("score_logit").get_weights()[0].copy()
    boxes = [(20.0, 300.0, 80.0, 80.0), (300.0, 20.0, 60.0, 60.0)]
    temperature = apply_temperature(model, [Scene(tmp_path / "scene.png", (), ())], lambda _: boxes)
    assert np.allclose(model.get_layer("score_logit").get_weights()[0] * temperature, before, rtol=1e-5)
