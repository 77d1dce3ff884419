from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Box, Crop, box_around, extract
from fkp_edge.core.keypoints import FKP15, IBUG68, Points
from fkp_edge.data import FaceSet, Scene
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import Evaluation, evaluate, evaluate_scenes, judge_boxes
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

NAN = float("nan")


@pytest.fixture(scope="module")
def model() -> KeypointModel:
    return open_model(shipped_model())


@pytest.fixture(scope="module")
def run(model: KeypointModel, portrait_faces: FaceSet) -> Callable[..., Evaluation]:
    return lambda **options: evaluate(model, portrait_faces, **options)


@pytest.fixture
def label_boxes(portrait_faces: FaceSet) -> Callable[[np.ndarray], list[Box]]:
    """A detector that knows each face's true box, and proposes another box first."""
    boxes = {id(image): box_around(portrait_faces.crop(i)) for i, image in enumerate(portrait_faces.images)}
    return lambda image: [(0, 0, 60, 60), boxes[id(image)]]


# faces


def test_crops_by_labels_give_points_near_the_labels(run):
    figures = run(crops="gt").figures
    assert (figures["faces"], figures["missed"], figures["crops"]) == (3, 0, "gt")
    assert 0.5 < figures["nme_percent"] < 10
    assert figures["mean_score"] > 0.5


def test_jittered_crops_give_points_near_the_labels(run):
    figures = run(crops="jitter").figures
    assert (figures["faces"], figures["crops"]) == (3, "jitter")
    assert 0.5 < figures["nme_percent"] < 10


def test_detected_crops_give_points_near_the_labels(run, label_boxes):
    figures = run(crops="haar", propose=label_boxes).figures
    assert (figures["faces"], figures["missed"], figures["crops"]) == (3, 0, "haar")
    assert 0.5 < figures["nme_percent"] < 10


def test_tracking_mends_what_a_box_far_off_costs(run, label_boxes):
    def propose(image: np.ndarray) -> list[Box]:
        x, y, w, h = label_boxes(image)[1]
        return [(x + 0.2 * w, y + 0.15 * h, w, h)]

    figures = run(crops="haar", propose=propose).figures
    assert figures["gt_nme_percent"] == pytest.approx(run().figures["nme_percent"])
    off, again = (abs(figures[k] - figures["gt_nme_percent"]) for k in ("nme_percent", "tracked_nme_percent"))
    assert again < off


def test_the_proposal_that_overlaps_most_is_taken(run, label_boxes):
    np.testing.assert_allclose(run(crops="haar", propose=label_boxes).points, run(crops="gt").points, atol=0.5)


def test_jitter_follows_its_seed(run):
    first, again, other = (run(crops="jitter", seed=seed).points for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["nose_tip", "left_eye_inner_corner", "mouth_left_corner"])
def test_jitter_frames_faces_with_hidden_points(model: KeypointModel, portrait_faces: FaceSet, run, name: str):
    points = portrait_faces.points.copy()
    points[1, FKP15.names.index(name)] = NAN
    result = evaluate(model, replace(portrait_faces, points=points), crops="jitter")
    assert result.figures["faces"] == 3
    assert result.nme[1] == pytest.approx(run(crops="jitter").nme[1], abs=0.03)


def test_points_and_nme_belong_to_the_faces_in_order(run, portrait_faces: FaceSet):
    result = run()
    distance = np.linalg.norm(result.points - portrait_faces.points, axis=-1).mean(1)
    np.testing.assert_allclose(result.nme, distance / FKP15.inter_ocular(portrait_faces.points), rtol=1e-5)
    assert result.figures["nme_percent"] == pytest.approx(100 * result.nme.mean())


def test_a_face_that_the_detector_misses_is_counted_and_left_out(run, portrait_faces: FaceSet, label_boxes):
    def propose(image: np.ndarray) -> list[Box]:
        return [] if image is portrait_faces.images[1] else label_boxes(image)

    result = run(crops="haar", propose=propose)
    assert (result.figures["faces"], result.figures["missed"]) == (2, 1)
    assert np.isnan(result.nme).tolist() == [False, True, False]
    assert np.isnan(result.points).all((1, 2)).tolist() == [False, True, False]


def test_a_proposal_elsewhere_is_a_miss(run, portrait_faces: FaceSet, label_boxes):
    def propose(image: np.ndarray) -> list[Box]:
        return [(0, 0, 60, 60)] if image is portrait_faces.images[0] else label_boxes(image)

    assert run(crops="haar", propose=propose).figures["missed"] == 1


def test_a_detector_that_finds_nothing(run):
    with pytest.raises(InputError) as caught:
        run(crops="haar", propose=lambda image: [])
    assert str(caught.value) == "the detector found none of the 3 faces of portraits; try --crops gt"


def test_faces_labelled_in_another_schema(model: KeypointModel, portrait_faces: FaceSet):
    faces = replace(portrait_faces, schema=IBUG68)
    with pytest.raises(InputError, match=r"keypoints-int8\.tflite speaks fkp15, portraits is labelled in ibug68$"):
        evaluate(model, faces)


@pytest.mark.parametrize("crops", ["haar", "jitter"])
def test_ready_crops_are_not_framed_again(model: KeypointModel, portrait_faces: FaceSet, crops):
    with pytest.raises(InputError) as caught:
        evaluate(model, replace(portrait_faces, cropped=True), crops=crops)
    assert str(caught.value) == f"portraits holds ready 96x96 crops; expected --crops gt, got {crops}"


def ready_crops(points: np.ndarray, portrait_faces: FaceSet) -> FaceSet:
    """The portrait's crop as Kaggle gives it, once for each row of `points`."""
    pixels = extract(portrait_faces.images[0], portrait_faces.crop(0))
    return FaceSet("kaggle", FKP15, points, [pixels] * len(points), ("row 2",) * len(points), cropped=True)


@pytest.fixture
def crop_points(portrait_faces: FaceSet) -> Points:
    """The portrait's points in pixels of its crop."""
    return portrait_faces.crop(0).to_units(portrait_faces.points[0]) * 96 - 0.5


def test_ready_crops_are_used_whole(model, run, portrait_faces: FaceSet, crop_points: Points):
    ready = evaluate(model, ready_crops(crop_points[None], portrait_faces))
    assert ready.nme[0] == pytest.approx(run().nme[0], rel=1e-4)


def test_rmse_is_in_pixels_of_the_crop(model, portrait_faces: FaceSet, crop_points: Points):
    ready = evaluate(model, ready_crops(crop_points[None], portrait_faces))
    assert ready.figures["rmse_px"] == pytest.approx(np.sqrt(((ready.points[0] - crop_points) ** 2).mean()), rel=1e-5)


def test_a_face_without_eye_corners_has_no_nme(model, portrait_faces: FaceSet, crop_points: Points):
    points = np.stack([crop_points, crop_points])
    points[1, 3] = NAN
    result = evaluate(model, ready_crops(points, portrait_faces))
    assert np.isnan(result.nme).tolist() == [False, True]
    assert result.figures["faces"] == 1


def test_faces_that_all_lack_eye_corners(model, portrait_faces: FaceSet, crop_points: Points):
    points = crop_points[None].copy()
    points[:, 3] = NAN
    with pytest.raises(InputError, match="no face of kaggle has both outer eye corners labelled; the NME is measured"):
        evaluate(model, ready_crops(points, portrait_faces))


def test_figures_can_be_written_as_json(run):
    figures = run().figures
    assert json.loads(json.dumps(figures)) == figures


# scenes: two labelled faces at LEFT and RIGHT, one at IGNORED that nobody annotated

LEFT, RIGHT, IGNORED = Crop(100, 100, 120), Crop(300, 100, 100), Crop(100, 300, 80)
NOWHERE = Crop(320, 320, 90)


def points_at(crop: Crop) -> Points:
    return crop.to_frame(FKP15.mean_shape)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A picture of noise; only its annotations matter."""
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8))
    faces = tuple(crop.to_frame(IBUG68.mean_shape) for crop in (LEFT, RIGHT))
    return Scene(path, faces, (box_around(IGNORED),))


@pytest.fixture
def judge(model: KeypointModel, scene: Scene) -> Callable[..., dict]:
    """Figures for crops that the detector proposes and crops that the pipeline finds faces in."""

    def run(*, proposed: tuple[Crop, ...] = (), found: tuple[Crop, ...] = ()) -> dict:
        boxes, points = [box_around(crop) for crop in proposed], [points_at(crop) for crop in found]
        return evaluate_scenes(model, [scene], propose=lambda grey: boxes, find=lambda grey: points)

    return run


def test_scenes_are_read_in_grey_and_counted(model: KeypointModel, scene: Scene):
    seen = []
    figures = evaluate_scenes(
        model, [scene, scene], propose=lambda grey: seen.append(grey.shape) or [], find=lambda g: []
    )
    assert seen == [(400, 400), (400, 400)]
    assert (figures["photographs"], figures["faces"]) == (2, 4)


@pytest.mark.parametrize(
    ("found", "hits_percent", "false"),
    [
        ((), 0, 0),
        ((LEFT,), 50, 0),
        ((LEFT, RIGHT), 100, 0),
        ((NOWHERE,), 0, 1),
        ((IGNORED,), 0, 0),
        ((RIGHT, NOWHERE, IGNORED, LEFT), 100, 1),
        ((LEFT, LEFT), 50, 0),
        ((Crop(100, 135, 120),), 0, 0),
        ((Crop(130, 330, 80),), 0, 0),
    ],
    ids=["nothing", "one", "both", "nowhere", "ignored", "all", "twice", "poor", "beside"],
)
def test_found_faces_are_hits_false_or_ignored(judge, found: tuple[Crop, ...], hits_percent: float, false: int):
    figures = judge(found=found)
    assert figures["found_percent"] == hits_percent
    assert figures["false_faces_per_photograph"] == false


def test_one_report_finds_one_face_even_where_two_are_labelled(model: KeypointModel, scene: Scene):
    twins = replace(scene, faces=(scene.faces[0], scene.faces[0] + 1))
    figures = evaluate_scenes(model, [twins], propose=lambda grey: [], find=lambda grey: [points_at(LEFT)])
    assert (figures["faces"], figures["found_percent"]) == (2, 50)


@pytest.mark.parametrize(
    ("proposed", "percent", "true", "false"),
    [
        ((), 0, 0, 0),
        ((LEFT,), 50, 1, 0),
        ((LEFT, LEFT, RIGHT), 100, 3, 0),
        ((NOWHERE, LEFT), 50, 1, 1),
        ((IGNORED, NOWHERE), 0, 0, 1),
    ],
    ids=["nothing", "one", "twice", "nowhere", "ignored"],
)
def test_proposed_boxes_are_true_false_or_ignored(judge, proposed, percent: float, true: int, false: int):
    figures = judge(proposed=proposed)
    assert figures["proposed_percent"] == percent
    assert (figures["true_boxes"], figures["false_boxes"]) == (true, false)


@pytest.mark.parametrize(
    ("box", "verdict"),
    [
        ((0, 0, 10, 10), [True]),
        ((0, 5, 10, 10), [True]),
        ((0, 6, 10, 10), [False]),
        ((100, 0, 10, 10), []),
        ((109, 9, 10, 10), []),
        ((110, 0, 10, 10), [False]),
    ],
    ids=["same", "a third", "a quarter", "ignored", "overlaps ignored", "touches ignored"],
)
def test_judge_boxes(box: Box, verdict: list[bool]):
    judged = list(judge_boxes([box], [(0, 0, 10, 10)], [(100, 0, 10, 10)]))
    assert judged == [(box, is_face) for is_face in verdict]


def test_judge_boxes_does_not_ignore_a_labelled_face():
    assert [*judge_boxes([(0, 0, 10, 10)], [(0, 0, 10, 10)], [(0, 0, 10, 10)])] == [((0, 0, 10, 10), True)]


def test_the_score_tells_a_face_from_noise(model: KeypointModel, scene: Scene, portrait_faces: FaceSet):
    picture = cv2.imread(str(scene.path), cv2.IMREAD_GRAYSCALE)
    face = extract(portrait_faces.images[0], portrait_faces.crop(0))
    picture[40:160, 40:160] = cv2.resize(face, (120, 120))
    cv2.imwrite(str(scene.path), picture)
    boxes = [box_around(LEFT), box_around(NOWHERE)]
    figures = evaluate_scenes(model, [scene], propose=lambda grey: boxes, find=lambda grey: [])
    assert (figures["true_boxes"], figures["false_boxes"], figures["score_auc"]) == (1, 1, 1.0)
