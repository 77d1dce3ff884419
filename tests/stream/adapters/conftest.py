from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from fkp_edge.core.keypoints import IBUG68
from fkp_edge.stream import FaceMessage, Hello, Measures, ObservationMessage, Pose, Position

FACE = FaceMessage(
    id=7,
    score=0.75,
    box=(100.0, 100.0, 200.0, 200.0),
    points=tuple((float(i), 2.0 * i) for i in range(68)),
    pose=Pose(yaw=10.0, pitch=-20.0, roll=30.0),
    measures=Measures(
        eye_open_left=1.0,
        eye_open_right=0.25,
        mouth_open=0.25,
        mouth_wide=0.975,
        smile=0.5,
        brow_raise_left=1.15,
        brow_raise_right=1.0,
        blinks=2,
    ),
    position=Position(x=6.1, y=-12.2, z=61.0),
)


@pytest.fixture
def hello68() -> Hello:
    return Hello(model="a", model_sha256="", points=IBUG68.names, frame_size=(640, 480), source="demo", server_ns=0)


@pytest.fixture
def seen() -> Callable[..., ObservationMessage]:
    """An observation of faces with 68 points, each with these changes."""

    def build(*changes: dict[str, object], **fields: object) -> ObservationMessage:
        faces = tuple(msgspec.structs.replace(FACE, **change) for change in changes)
        message = ObservationMessage(
            sequence=1, captured_ns=2_000_000_000, sent_ns=3, state="tracking", dropped=0, faces=faces
        )
        return msgspec.structs.replace(message, **fields)

    return build
