"""A finder's weights come back out of its model file, and training goes on from them."""

from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.finder import open_finder
from fkp_edge.model.finder_maps import letterbox
from fkp_edge.model.interpreter import dequantise
from fkp_edge.model.shipped import shipped_model
from fkp_edge.train.finder.network import build_finder
from fkp_edge.train.finder.recipe import FinderNetwork
from fkp_edge.train.finder.start import carry_finder

FINDER = shipped_model("finder-int8")
NOISE = np.random.default_rng(0).integers(0, 256, (4, 30, 40), np.uint8)
PIXELS = np.stack([letterbox(np.kron(room, np.ones((6, 6), np.uint8)))[0] for room in NOISE])[..., None]


def test_the_network_says_what_the_file_says_in_use_and_in_training() -> None:
    model = build_finder(FinderNetwork())
    carry_finder(FINDER, model, PIXELS.astype(np.float32))
    finder = open_finder(FINDER)
    maps = finder.invoke(PIXELS[0, ..., 0])
    wanted = [dequantise(raw, detail) for raw, detail in zip(maps, finder._outputs, strict=True)]
    for training in (False, True):
        found = [np.asarray(out)[0] for out in model(PIXELS.astype(np.float32), training=training)]
        for one, other in zip(found, wanted, strict=True):
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def test_a_finder_of_other_blocks_is_refused() -> None:
    model = build_finder(FinderNetwork(joined=16))
    with pytest.raises(InputError, match="expected the same blocks"):
        carry_finder(FINDER, model, PIXELS.astype(np.float32))


def test_a_keypoint_network_is_no_finder() -> None:
    with pytest.raises(ModelFileError, match="is a keypoint network"):
        carry_finder(shipped_model(), build_finder(FinderNetwork()), PIXELS.astype(np.float32))
