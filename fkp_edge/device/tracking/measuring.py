"""What the engine is told of measures and positions, and how it takes them of a face."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.core.measures import FaceMeasures
from fkp_edge.core.position import FIELD_OF_VIEW, PUPILS_CM, Position, head_position
from fkp_edge.core.settings import Settings

__all__ = ["MeasureSettings", "Measuring"]


class MeasureSettings(Settings, frozen=True, kw_only=True):
    """Whether faces are measured, and what that needs to know."""

    enabled: bool = False
    pupils_cm: Annotated[float, Meta(ge=3, le=10)] = PUPILS_CM
    """Between the pupils of the people who are seen."""
    field_of_view: Annotated[float, Meta(ge=10, le=170)] | Literal["auto"] = "auto"
    """Degrees across the picture's width; `auto` is the Pi camera's own where its lens is known, else 62."""

    def of_camera(self, degrees: float | None) -> MeasureSettings:
        """These settings where the camera itself says what it shows; None: it does not."""
        known = self.field_of_view != "auto" or degrees is None
        return self if known else msgspec.structs.replace(self, field_of_view=degrees)


class Measuring:
    """Measures faces with points of one schema."""

    def __init__(self, schema: Schema, settings: MeasureSettings) -> None:
        """
        Raises:
            InputError: nothing can be measured on points of `schema`.
        """
        FaceMeasures(schema)
        self._schema = schema
        self._pupils_cm = settings.pupils_cm
        self._field = FIELD_OF_VIEW if settings.field_of_view == "auto" else settings.field_of_view

    def begin(self) -> FaceMeasures:
        """What keeps the measures of a new face."""
        return FaceMeasures(self._schema)

    def position(
        self, points: Points, pose: tuple[float, float, float] | None, frame_size: tuple[int, int]
    ) -> Position | None:
        """Where the head is, in a frame of (width, height)."""
        if pose is None:
            return None
        return head_position(
            points, self._schema, pose, frame_size, pupils_cm=self._pupils_cm, field_of_view=self._field
        )
