"""What goes into a model file beside the flatbuffer: its card and its golden cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.convert.load import Network
from fkp_edge.core.geometry import CROP_SIZE, Crop, box_around, crop_from_box, crop_from_labels, extract
from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.model.file import Card, GoldenCase, ModelFile
from fkp_edge.model.interpreter import KeypointModel, list_operators

__all__ = ["card_of", "golden_cases", "keypoint_model"]


def card_of(
    network: Network,
    flatbuffer: bytes,
    precision: str,
    *,
    mean_shape: Points | None = None,
    pruning: str = "",
    quantisation: str = "",
    accuracy: dict[str, Any] | None = None,
) -> Card:
    """The card of `flatbuffer`, which was made from `network`; `mean_shape` where it differs from the network's."""
    described = network.described
    mean = described["mean_shape"] if mean_shape is None else mean_shape.tolist()
    return Card(
        name=described["recipe"]["name"],
        schema=described["schema"],
        mean_shape=tuple((float(x), float(y)) for x, y in mean),
        has_score=described["has_score"],
        flatbuffer_sha256=ModelFile(Path(), flatbuffer, None).sha256,
        flatbuffer_bytes=len(flatbuffer),
        precision=precision,
        quantisation=quantisation,
        pruning=pruning,
        parameters=described["parameters"],
        training=described["recipe"],
        licence=described["recipe"]["data"]["note"],
        operators=list_operators(flatbuffer),
        accuracy=accuracy or {},
    )


def keypoint_model(network: Network, flatbuffer: bytes, mean_shape: Points | None = None) -> KeypointModel:
    """`flatbuffer`, made from `network`, ready to run."""
    card = card_of(network, flatbuffer, "", mean_shape=mean_shape)
    return KeypointModel(ModelFile(network.path, flatbuffer, card))


def golden_cases(model: KeypointModel) -> tuple[GoldenCase, ...]:
    """What `model` makes of the portrait, small and off centre, large, and of a drawn pattern without a face."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    left, top = 150, 50
    small: NDArray[np.uint8] = np.ascontiguousarray(grey[top:210, left:310])
    aim = crop_from_labels(portrait_points() - np.array([left, top], np.float32), FKP15)
    large = small.repeat(2, 0).repeat(2, 1)  # over two crop widths: the path that averages down; deflates well
    ramp = np.add.outer(np.arange(120) % 64, np.arange(160) % 48) * 2
    cases: list[tuple[NDArray[np.uint8], Crop]] = [
        (small, Crop(aim.x - 4, aim.y + 3, aim.side * 1.1)),
        (large, Crop(2 * aim.x + 0.5, 2 * aim.y + 0.5, max(2 * aim.side, 2.0 * CROP_SIZE))),
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
