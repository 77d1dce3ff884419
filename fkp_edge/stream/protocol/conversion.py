"""What the engine saw, as messages: rounded. Imports the engine's records for checkers alone, as clients lack NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fkp_edge.stream.protocol.messages import FaceMessage, Measures, ObservationMessage, Pose, Position

if TYPE_CHECKING:
    from fkp_edge.core.measures import Measures as MeasuresOfFace
    from fkp_edge.core.observation import Face, Observation

__all__ = ["from_face", "from_observation"]


def from_observation(observation: Observation, sent_ns: int) -> ObservationMessage:
    """`observation` as a message: coordinates in hundredths of a pixel, scores in thousandths.

    Args:
        observation: what the engine saw.
        sent_ns: monotonic clock of the device now.
    """
    return ObservationMessage(
        sequence=observation.sequence,
        captured_ns=observation.captured_ns,
        sent_ns=sent_ns,
        state=observation.state.value,
        dropped=observation.dropped,
        faces=tuple(from_face(face) for face in observation.faces),
    )


_ANGLES = ("yaw", "pitch", "roll")


def from_face(face: Face) -> FaceMessage:
    """`face` as a message: coordinates in hundredths of a pixel, the score in thousandths."""
    x, y, width, height = (round(float(value), 2) for value in face.box)
    return FaceMessage(
        id=face.id,
        score=round(float(face.score), 3),
        box=(x, y, width, height),
        points=tuple((round(px, 2), round(py, 2)) for px, py in face.points.tolist()),
        pose=None if face.pose is None else Pose(**dict(zip(_ANGLES, (round(a, 1) for a in face.pose), strict=True))),
        held=face.held,
        measures=None if face.measures is None else _measures(face.measures),
        position=None if face.position is None else Position(**_rounded(face.position._asdict(), 2)),
    )


def _measures(found: MeasuresOfFace) -> Measures:
    values = found._asdict()
    blinks, blink = values.pop("blinks"), values.pop("blink")
    return Measures(**_rounded(values, 3), blinks=blinks, blink=blink and (blink.start_ns, blink.end_ns))


def _rounded(values: dict[str, float | None], digits: int) -> dict[str, Any]:
    return {name: None if value is None else round(value, digits) for name, value in values.items()}
