from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68, SCHEMAS, Schema, from_ibug68, schema_named
from fkp_edge.errors import InputError

# Kaggle's training.csv, columns in order, without _x and _y
KAGGLE = """
left_eye_center right_eye_center left_eye_inner_corner left_eye_outer_corner right_eye_inner_corner
right_eye_outer_corner left_eyebrow_inner_end left_eyebrow_outer_end right_eyebrow_inner_end right_eyebrow_outer_end
nose_tip mouth_left_corner mouth_right_corner mouth_center_top_lip mouth_center_bottom_lip
""".split()

# The mirror image of the 300-W mark-up, read off its authors' figure
FLIP68 = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
]

every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)


@every_schema
def test_names_are_unique(schema: Schema):
    assert len(set(schema.names)) == len(schema.names) == schema.size


@every_schema
def test_flip_is_an_involution(schema: Schema):
    assert [schema.flip[i] for i in schema.flip] == list(range(schema.size))


@every_schema
def test_flip_exchanges_left_and_right_in_the_names(schema: Schema):
    for name, other in zip(schema.names, (schema.names[i] for i in schema.flip), strict=True):
        assert other.replace("left", "right") == name.replace("left", "right")
        assert ("left" in name, "right" in name) == ("right" in other, "left" in other)


@every_schema
def test_mean_shape_is_its_own_mirror_image(schema: Schema):
    mirrored = schema.mean_shape[list(schema.flip)] * [-1, 1] + [1, 0]
    np.testing.assert_allclose(mirrored, schema.mean_shape, atol=1e-6)


@every_schema
def test_mean_shape_lies_inside_the_crop(schema: Schema):
    assert schema.mean_shape.shape == (schema.size, 2)
    assert schema.mean_shape.dtype == np.float32
    assert (schema.mean_shape > 0.1).all()
    assert (schema.mean_shape < 1.0).all()


@every_schema
def test_the_subjects_left_is_on_the_pictures_right(schema: Schema):
    left, right = schema.eye_centers(schema.mean_shape)
    assert left[0] > right[0]
    assert left[1] == pytest.approx(right[1], abs=1e-4)


@every_schema
def test_outer_corners_are_the_left_then_the_right_eyes(schema: Schema):
    assert [schema.names[i] for i in schema.outer_corners] == ["left_eye_outer_corner", "right_eye_outer_corner"]


@every_schema
def test_lower_lip_is_the_lowest_point_of_the_mouth(schema: Schema):
    mouth = [i for i, name in enumerate(schema.names) if "mouth" in name or "lip" in name]
    assert max(mouth, key=lambda i: schema.mean_shape[i, 1]) == schema.lower_lip


@every_schema
def test_edges_join_different_points_of_the_schema(schema: Schema):
    assert all(0 <= a < schema.size and 0 <= b < schema.size and a != b for a, b in schema.edges)
    assert len({frozenset(edge) for edge in schema.edges}) == len(schema.edges)


def test_fkp15_keeps_kaggles_order():
    assert list(FKP15.names) == KAGGLE


def test_fkp15_flip():
    assert FKP15.flip == (1, 0, 4, 5, 2, 3, 8, 9, 6, 7, 10, 12, 11, 13, 14)


def test_ibug68_flip():
    assert list(IBUG68.flip) == FLIP68


@pytest.mark.parametrize(("index", "mirrored"), [(0, 16), (8, 8), (17, 26), (30, 30), (36, 45), (48, 54), (60, 64)])
def test_ibug68_flip_of_known_points(index: int, mirrored: int):
    assert IBUG68.flip[index] == mirrored


def test_ibug68_names_known_points():
    known = {8: "chin", 30: "nose_tip", 36: "right_eye_outer_corner", 48: "right_mouth_corner", 57: "lip_bottom"}
    assert {i: IBUG68.names[i] for i in known} == known


def test_from_ibug68_takes_the_documented_points():
    points = np.stack([np.arange(68), np.zeros(68)], 1)
    taken = from_ibug68(points, FKP15)[:, 0].tolist()
    assert taken == [44.5, 38.5, 42, 45, 39, 36, 22, 26, 21, 17, 30, 54, 48, 51, 57]


def test_from_ibug68_gives_all_68_points_unchanged():
    points = np.random.default_rng(0).normal(size=(68, 2))
    np.testing.assert_array_equal(from_ibug68(points, IBUG68), points.astype(np.float32))


def test_both_mean_shapes_describe_the_same_face():
    np.testing.assert_allclose(from_ibug68(IBUG68.mean_shape, FKP15), FKP15.mean_shape, atol=2e-4)


def test_from_ibug68_refuses_a_schema_without_a_mapping():
    with pytest.raises(InputError, match="no mapping from iBUG's 68 points to schema 'other'; expected fkp15 or"):
        from_ibug68(np.zeros((68, 2)), replace(FKP15, name="other"))


def test_eye_centers_are_means_of_the_eyes_points():
    points = np.stack([np.arange(68.0), np.arange(68.0) ** 2], 1)
    left, right = IBUG68.eye_centers(points)
    assert left.tolist() == points[42:48].mean(0).tolist()
    assert right.tolist() == points[36:42].mean(0).tolist()


def test_eye_centers_keep_leading_axes():
    points = np.arange(2 * 15 * 2.0).reshape(2, 15, 2)
    left, right = FKP15.eye_centers(points)
    assert left.tolist() == points[:, 0].tolist()
    assert right.tolist() == points[:, 1].tolist()


def test_inter_ocular_is_the_distance_of_the_outer_corners():
    points = np.zeros((2, 15, 2))
    points[1, 3] = (3, 4)
    assert FKP15.inter_ocular(points).tolist() == [0, 5]


@every_schema
def test_schema_named(schema: Schema):
    assert schema_named(schema.name) is schema


def test_schema_named_refuses_an_unknown_name():
    with pytest.raises(InputError, match="keypoint schema 'fkp5' is not known; expected one of fkp15, ibug68"):
        schema_named("fkp5")
