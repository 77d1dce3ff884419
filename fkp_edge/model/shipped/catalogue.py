"""What each shipped model is good for: points, size, accuracy, instructions."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from fkp_edge.core.keypoints import schema_named
from fkp_edge.model.file import Card, read_model_file
from fkp_edge.model.shipped import shipped_model, shipped_names

__all__ = ["ShippedModel", "list_models"]

INSTRUCTIONS = Path(__file__).parent / "instructions.json"
"""Flatbuffer's sha256 -> instructions of an inference on each core; `make bench-arm64 ARGS=--update` writes it."""


class ShippedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that ships with the package."""

    name: str
    """For `--model`."""
    is_default: bool
    points: int
    """A face."""
    precision: str
    """float32 or int8."""
    file_bytes: int
    nme_percent: float
    """Mean error of the points over the distance of the outer eye corners, on validation faces."""
    instructions: dict[str, int]
    """Of an inference: core (pi4, pi5) -> instructions; empty where they were not counted."""


def list_models() -> list[ShippedModel]:
    """The shipped keypoint networks, the default one first."""
    counted = msgspec.json.decode(INSTRUCTIONS.read_bytes(), type=dict[str, dict[str, int]])
    found = []
    for index, name in enumerate(shipped_names()):
        file = read_model_file(shipped_model(name))
        card = file.card
        assert card is not None, "shipped files have cards"
        found.append(
            ShippedModel(
                name=name,
                is_default=index == 0,
                points=schema_named(card.schema).size,
                precision=card.precision,
                file_bytes=file.path.stat().st_size,
                nme_percent=_mean_nme(card),
                instructions=counted.get(file.sha256, {}),
            )
        )
    return found


def _mean_nme(card: Card) -> float:
    """Over the faces of all validation sets."""
    sets = list(card.accuracy.values())
    return float(np.average([each["nme_percent"] for each in sets], weights=[each["faces"] for each in sets]))
