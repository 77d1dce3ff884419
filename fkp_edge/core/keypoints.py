"""Keypoint schemas: names, flip pairs, edges to draw, mean shape. Nothing outside this module assumes 15 points.

Left and right are the subject's. Points are `(K, 2)` float32 `(x, y)`; mean shapes are in crop units, where (0, 0) and
(1, 1) are the outer corners of the 96x96 crop. Both mean shapes are the left-right symmetrised means over 1,510
hand-labelled photographs (LFPW and HELEN training sets, iBUG annotation), cropped by `geometry.crop_from_labels`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fkp_edge.errors import InputError

__all__ = ["FKP15", "IBUG68", "SCHEMAS", "Points", "Schema", "from_ibug68", "schema_named", "to_fkp15"]

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Schema:
    """A set of named keypoints."""

    name: str
    """Short name, as model cards carry it."""
    names: tuple[str, ...]
    """One name a point, in array order."""
    flip: tuple[int, ...]
    """`points[flip]` exchanges left and right: the order after mirroring a picture."""
    edges: tuple[tuple[int, int], ...]
    """Pairs of points to join when drawing."""
    left_eye: tuple[int, ...]
    """Points whose mean is the centre of the subject's left eye."""
    right_eye: tuple[int, ...]
    """Points whose mean is the centre of the subject's right eye."""
    outer_corners: tuple[int, int]
    """Left and right outer eye corner: their distance normalises the NME."""
    lower_lip: int
    """The middle of the lower lip's lower edge: bounds the crop of labelled faces."""
    mean_shape: Points = field(repr=False)
    """(K, 2), crop units."""

    @property
    def size(self) -> int:
        """Number of points, K."""
        return len(self.names)

    def eye_centers(self, points: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Left and right eye centre of `points` (..., K, 2), each (..., 2)."""
        return points[..., self.left_eye, :].mean(-2), points[..., self.right_eye, :].mean(-2)

    def inter_ocular(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Distance between the outer eye corners of `points` (..., K, 2): shape (...)."""
        left, right = self.outer_corners
        return np.asarray(np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1))

    def mirrored(self, units: NDArray[np.floating]) -> Points:
        """Points (..., K, 2) in crop units as the mirrored crop shows them, left and right exchanged."""
        return np.asarray(units[..., self.flip, :] * (-1, 1) + (1, 0), np.float32)


def _flip_from_names(names: tuple[str, ...]) -> tuple[int, ...]:
    """Pairs left_x with right_x and x_left_y with x_right_y by their names."""

    def mirrored(name: str) -> str:
        swap = {"left": "right", "right": "left"}
        return "_".join(swap.get(word, word) for word in name.split("_"))

    return tuple(names.index(mirrored(name)) for name in names)


def _shape(text: str) -> Points:
    return np.array(text.split(), np.float32).reshape(-1, 2)


_NAMES15 = tuple(
    (
        "left_eye_center right_eye_center left_eye_inner_corner left_eye_outer_corner right_eye_inner_corner "
        "right_eye_outer_corner left_eyebrow_inner_end left_eyebrow_outer_end right_eyebrow_inner_end "
        "right_eyebrow_outer_end nose_tip mouth_left_corner mouth_right_corner mouth_center_top_lip "
        "mouth_center_bottom_lip"
    ).split()
)

FKP15 = Schema(
    name="fkp15",
    names=_NAMES15,
    flip=_flip_from_names(_NAMES15),
    edges=((2, 3), (4, 5), (6, 7), (8, 9), (11, 13), (13, 12), (12, 14), (14, 11)),
    left_eye=(0,),
    right_eye=(1,),
    outer_corners=(3, 5),
    lower_lip=14,
    mean_shape=_shape(
        ".6595 .3900 .3405 .3900 .5959 .3988 .7201 .3904 .4041 .3988 .2799 .3904 .5603 .3048 .7932 .3222 "
        ".4397 .3048 .2068 .3222 .5000 .5702 .6383 .7294 .3617 .7294 .5000 .7057 .5000 .8029"
    ),
)
"""The 15 points of Kaggle's Facial Keypoints Detection, in Kaggle's order."""


def _chain(first: int, last: int, *, closed: bool = False) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(first, last)] + ([(last, first)] if closed else [])


# 0-based positions of the iBUG 68-point mark-up, as its authors number it (Sagonas et al., ICCV-W 2013); the names keep
# that order. The right side of the subject comes first.
_NAMES68 = (
    *(f"right_jaw_{i}" for i in range(8)),
    "chin",
    *(f"left_jaw_{i}" for i in range(7, -1, -1)),
    *(f"right_eyebrow_{i}" for i in range(5)),
    *(f"left_eyebrow_{i}" for i in range(4, -1, -1)),
    *(f"nose_bridge_{i}" for i in range(3)),
    "nose_tip",
    *("right_nostril_0", "right_nostril_1", "nose_base", "left_nostril_1", "left_nostril_0"),
    *("right_eye_outer_corner", "right_eye_upper_0", "right_eye_upper_1"),
    *("right_eye_inner_corner", "right_eye_lower_1", "right_eye_lower_0"),
    *("left_eye_inner_corner", "left_eye_upper_1", "left_eye_upper_0"),
    *("left_eye_outer_corner", "left_eye_lower_0", "left_eye_lower_1"),
    *("right_mouth_corner", "right_lip_top_0", "right_lip_top_1", "lip_top"),
    *("left_lip_top_1", "left_lip_top_0", "left_mouth_corner"),
    *("left_lip_bottom_0", "left_lip_bottom_1", "lip_bottom", "right_lip_bottom_1", "right_lip_bottom_0"),
    *("right_inner_mouth_corner", "right_inner_lip_top", "inner_lip_top", "left_inner_lip_top"),
    *("left_inner_mouth_corner", "left_inner_lip_bottom", "inner_lip_bottom", "right_inner_lip_bottom"),
)

IBUG68 = Schema(
    name="ibug68",
    names=_NAMES68,
    flip=_flip_from_names(_NAMES68),
    edges=(
        *_chain(0, 16),
        *_chain(17, 21),
        *_chain(22, 26),
        *_chain(27, 30),
        *_chain(31, 35),
        *_chain(36, 41, closed=True),
        *_chain(42, 47, closed=True),
        *_chain(48, 59, closed=True),
        *_chain(60, 67, closed=True),
    ),
    left_eye=(42, 43, 44, 45, 46, 47),
    right_eye=(36, 37, 38, 39, 40, 41),
    outer_corners=(45, 36),
    lower_lip=57,
    mean_shape=_shape(
        ".1390 .3993 .1416 .4940 .1523 .5885 .1720 .6812 .2091 .7672 .2663 .8421 .3360 .9048 .4129 .9555 .5000 .9696 "
        ".5871 .9555 .6640 .9048 .7337 .8421 .7909 .7672 .8280 .6812 .8477 .5885 .8584 .4940 .8610 .3993 .2068 .3222 "
        ".2519 .2837 .3141 .2726 .3782 .2816 .4397 .3048 .5603 .3048 .6218 .2816 .6859 .2726 .7481 .2837 .7932 .3222 "
        ".5000 .3821 .5000 .4446 .5000 .5066 .5000 .5702 .4282 .6116 .4629 .6242 .5000 .6356 .5371 .6242 .5718 .6116 "
        ".2799 .3904 .3178 .3671 .3653 .3678 .4041 .3988 .3611 .4084 .3147 .4076 .5959 .3988 .6347 .3678 .6822 .3671 "
        ".7201 .3904 .6853 .4076 .6389 .4084 .3617 .7294 .4119 .7080 .4642 .6967 .5000 .7057 .5358 .6967 .5881 .7080 "
        ".6383 .7294 .5896 .7779 .5389 .7991 .5000 .8029 .4611 .7991 .4104 .7779 .3827 .7322 .4637 .7283 .5000 .7321 "
        ".5363 .7283 .6173 .7322 .5369 .7520 .5000 .7563 .4631 .7520"
    ),
)
"""The 68 points of the iBUG mark-up (300-W), in iBUG's order, 0-based."""

SCHEMAS = {schema.name: schema for schema in (FKP15, IBUG68)}

# Which iBUG points a point of FKP15 is the mean of.
_FKP15_FROM_68: tuple[tuple[int, ...], ...] = (
    IBUG68.left_eye,
    IBUG68.right_eye,
    *((i,) for i in (42, 45, 39, 36, 22, 26, 21, 17, 30, 54, 48, 51, 57)),
)


def schema_named(name: str) -> Schema:
    """The built-in schema called `name`.

    Raises:
        InputError: no schema has that name.
    """
    try:
        return SCHEMAS[name]
    except KeyError:
        raise InputError(f"keypoint schema {name!r} is not known; expected one of {', '.join(SCHEMAS)}") from None


def from_ibug68(points: NDArray[np.floating], schema: Schema) -> Points:
    """iBUG's 68 `points` (68, 2) in the order and number of `schema`: (K, 2) float32."""
    if schema is IBUG68:
        return np.asarray(points, np.float32)
    if schema is FKP15:
        return np.stack([points[list(group)].mean(0) for group in _FKP15_FROM_68]).astype(np.float32)
    raise InputError(f"no mapping from iBUG's 68 points to schema {schema.name!r}; expected fkp15 or ibug68")


def to_fkp15(points: Points, schema: Schema) -> Points | None:
    """`points` (K, 2) of `schema` as the 15 of FKP15; None where the schema does not have them."""
    if schema is FKP15:
        return points
    return from_ibug68(points, FKP15) if schema is IBUG68 else None
