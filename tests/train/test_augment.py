"""Training crops and negatives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, box_around, crop_from_track, iou
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet, Scene
from fkp_edge.data.pictures import portrait_points
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.train.augment import degrade, face_crop, mirror, sample_crop
from fkp_edge.train.batches import BatchMaker, TrainingSet, ahead
from fkp_edge.train.proposals import Negatives, _badly_framed, face_boxes, mine_negatives
from fkp_edge.train.recipe import Augment, Data, Fit, Recipe
from fkp_edge.train.registry import read_recipe

NONE = Negatives([], [], [])


@pytest.fixture(scope="module")
def model() -> KeypointModel:
    return open_model(shipped_model())


def recipe(seed: int = 1) -> Recipe:
    return Recipe(name="t", data=Data(train={}, val=()), fit=Fit(epochs=1, batch=4, negatives=2, seed=seed))


def test_points_stay_on_the_face_through_every_framing(faces: FaceSet, model: KeypointModel) -> None:
    gentle = Augment(
        blur_share=0, small_share=0, noise_share=0, jpeg_share=0, erase_share=0, contrast=0, brightness=0, gamma=0
    )
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        pixels, units = face_crop(faces, 0, rng, gentle)
        errors.append(np.linalg.norm(model.predict(pixels)[0] - units, axis=1).mean())
    assert np.median(errors) < 0.04  # of the crop; a mirrored or shifted label would be off by 0.1 and more


def test_crops_are_framed_as_often_as_the_recipe_says(faces: FaceSet) -> None:
    upright = Augment(haar_share=0, track_share=1, wide_share=0, roll_deg=0, point_error=0)
    rng = np.random.default_rng(0)
    aim = crop_from_track(portrait_points(), FKP15.mean_shape)
    crops = [sample_crop(faces, 0, rng, upright) for _ in range(300)]
    assert np.mean([c.side for c in crops]) == pytest.approx(aim.side, rel=0.01)
    assert np.std([c.roll - aim.roll for c in crops]) == pytest.approx(np.radians(2.0), rel=0.2)


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        ("haar_share = 0.5\ntrack_share = 0.6", "add up to 1.28; expected at most 1, the rest is framed by labels"),
        ("blur_share = 10", "augment.blur_share = 10 cannot be used; expected a number <= 1.0"),
    ],
)
def test_a_mix_of_more_than_all_crops_is_refused(mix: str, said: str, tiny: Path) -> None:
    text = (tiny / "tiny2.toml").read_text()
    (tiny / "tiny2.toml").write_text(f"{text}[augment]\n{mix}\n")
    with pytest.raises(InputError) as caught:
        read_recipe(tiny / "tiny2.toml")
    assert said in str(caught.value)


def test_haar_crops_come_from_its_own_boxes_half_of_the_time(faces: FaceSet) -> None:
    config = Augment(haar_share=1, track_share=0, wide_share=0, roll_deg=0)
    rng, box = np.random.default_rng(0), (20.0, 30.0, 90.0, 90.0)  # far from the face, to tell the two apart
    crops = [sample_crop(faces, 0, rng, config, [box]) for _ in range(300)]
    assert np.mean([iou(box_around(crop), box) > 0.6 for crop in crops]) == pytest.approx(0.5, abs=0.1)


def test_half_framed_crops_still_count_as_framing_the_face(faces: FaceSet) -> None:
    config = Augment(haar_share=0, track_share=0, wide_share=0, half_share=1, roll_deg=0)
    truth, rng = box_around(faces.crop(0)), np.random.default_rng(0)
    overlaps = [iou(box_around(sample_crop(faces, 0, rng, config)), truth) for _ in range(100)]
    assert min(overlaps) >= 0.3
    assert max(overlaps) < 0.5


def test_only_boxes_that_frame_the_face_are_learnt_from(faces: FaceSet) -> None:
    x, y, side, _ = box_around(faces.crop(0))
    right, half = (x + 5, y, side, side), (x + side * 0.6, y, side, side)
    assert face_boxes([faces], lambda _: [half, right]) == [[[pytest.approx(right)]] * len(faces)]


def test_mirroring_twice_changes_nothing(faces: FaceSet) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    twice = mirror(*mirror(pixels, FKP15.mean_shape, FKP15), FKP15)
    assert np.array_equal(twice[0], pixels)
    assert np.allclose(twice[1], FKP15.mean_shape)


def test_degrading_keeps_shape_and_type() -> None:
    always = Augment(blur_share=1, small_share=1, noise_share=1, jpeg_share=1, erase_share=1)
    pixels = np.full((96, 96), 128, np.uint8)
    for seed in range(20):
        out = degrade(pixels, np.random.default_rng(seed), always)
        assert (out.shape, out.dtype) == ((96, 96), np.uint8)
    assert (pixels == 128).all()


def test_badly_framed_crops_do_not_frame_the_face() -> None:
    rng, face = np.random.default_rng(0), Crop(100, 100, 80)
    for _ in range(200):
        crop = _badly_framed(face, rng)
        assert abs(crop.roll) > 1.1 or iou(box_around(crop), box_around(face)) < 0.25


def test_mining_keeps_wrong_boxes_only(tmp_path: Path, faces: FaceSet) -> None:
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), faces.images[0])
    scene = Scene(path, (), ((300.0, 20.0, 60.0, 60.0),))
    boxes = [(305.0, 22.0, 60.0, 60.0), (20.0, 300.0, 80.0, 80.0)]  # the first is a face that nobody annotated
    assert [box for _, box in mine_negatives([scene], lambda _: boxes).false_boxes] == [boxes[1]]


def test_batches_repeat_by_seed_and_epoch(faces: FaceSet) -> None:
    maker = BatchMaker([TrainingSet(faces, 2, [[]] * len(faces))], NONE, recipe())
    first, again, other = next(maker.epoch(0)), next(maker.epoch(0)), next(maker.epoch(1))
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_batches_mask_what_is_not_labelled_and_what_is_no_face(faces: FaceSet) -> None:
    points = faces.points.copy()
    points[:, 6] = np.nan
    holed = FaceSet("holed", FKP15, points, faces.images, faces.labels)
    batch = next(BatchMaker([TrainingSet(holed, 1, [[]] * len(holed))], NONE, recipe()).epoch(0))
    assert batch.score[:, 0].tolist() == [1, 1, 1, 1, 0, 0]
    assert (batch.mask.sum(1) == [28, 28, 28, 28, 0, 0]).all()
    assert np.isfinite(batch.offsets).all()


def test_an_error_while_making_batches_reaches_the_trainer() -> None:
    def broken():
        yield from ()
        raise OSError("picture gone")

    with pytest.raises(OSError, match="picture gone"):
        list(ahead(broken()))


def hidden(faces: FaceSet, *names: str) -> FaceSet:
    """The faces with these points not labelled."""
    points = faces.points.copy()
    points[:, [FKP15.names.index(name) for name in names]] = np.nan
    return replace(faces, points=points)


def test_a_face_with_a_hidden_point_is_framed_as_often_by_the_tracker(faces: FaceSet) -> None:
    upright = Augment(haar_share=0, track_share=1, wide_share=0, roll_deg=0, point_error=0)
    rng, aim = np.random.default_rng(0), crop_from_track(portrait_points(), FKP15.mean_shape)
    crops = [sample_crop(hidden(faces, "nose_tip"), 0, rng, upright) for _ in range(200)]
    assert np.mean([c.side for c in crops]) == pytest.approx(aim.side, rel=0.03)
    assert np.std([c.side / aim.side for c in crops]) == pytest.approx(0.03, rel=0.3)  # the wide framing's is 0.18


def test_a_face_with_too_few_points_to_track_is_framed_as_narrowly(faces: FaceSet) -> None:
    upright = Augment(haar_share=0, track_share=1, wide_share=0, roll_deg=0, point_error=0)
    few = replace(hidden(faces, *FKP15.names[:14]), cropped=True)
    crops = [sample_crop(few, 0, np.random.default_rng(seed), upright) for seed in range(200)]
    assert np.std([c.side / 96 for c in crops]) == pytest.approx(0.03, rel=0.3)
