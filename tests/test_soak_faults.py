"""The soak under faults: that its witness and its verdict find what they should, and a short one that must hold."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fkp_edge.stream import FaceMessage, ObservationMessage

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
KINDS = ("unplugged", "garbage for pictures", "small frames", "SIGSTOP")

TOO_SHORT = ("memory", "silent", "SIGTERM took", "a face came back late")
"""What a short run on a busy machine cannot say: so are threads, some of which begin when they are first needed."""


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    """The program; the folder is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("soak_faults")


@pytest.fixture
def consistency(soak: ModuleType) -> Any:
    return importlib.import_module("faults.witness").Consistency(1)


def face(number: int = 1, point: tuple[float, float] = (120.0, 120.0)) -> FaceMessage:
    return FaceMessage(id=number, score=0.9, box=(100.0, 100.0, 50.0, 50.0), points=(point,))


def seen(sequence: int, state: str = "tracking", faces: tuple[FaceMessage, ...] | None = None, **more: Any) -> Any:
    at = (sequence + 1) * 33_000_000
    faces = ((face(),) if state in ("tracking", "held") else ()) if faces is None else faces
    fields = {"captured_ns": at, "sent_ns": at + 1000, "dropped": 0} | more
    return ObservationMessage(sequence=sequence, state=state, faces=faces, **fields)


GOOD = [
    [seen(0, "no_camera"), seen(0), seen(1)],
    [seen(0), seen(1, "held"), seen(2, "searching"), seen(3, faces=(face(2),))],
    [seen(0), seen(0, "no_camera"), seen(0, "no_camera"), seen(1)],
    [seen(0), seen(3, dropped=2), seen(3)],
    [seen(0), seen(7, dropped=2)],
    [seen(0), *(seen(i, "searching") for i in range(1, 60)), seen(60)],
]
BAD = {
    "sequence goes back": [seen(3), seen(1)],
    "captured_ns does not rise": [seen(1), seen(2, captured_ns=1)],
    "sent_ns goes back": [seen(1), seen(2, sent_ns=70_000_000), seen(3, sent_ns=1)],
    "sent before captured": [seen(1), seen(2, sent_ns=66_000_000)],
    "dropped is no part of the gap": [seen(1), seen(2, dropped=1)],
    "no true repetition": [seen(1), seen(1, faces=(face(2),))],
    "held after nothing": [seen(1, "searching"), seen(2, "held")],
    "faces do not fit the state": [seen(1, "searching", faces=(face(),))],
    "an id twice in a message": [seen(1, faces=(face(), face()))],
    "an id is used again": [seen(0), *(seen(i, "searching") for i in range(1, 90)), seen(90)],
    "a face that is none": [seen(1, faces=(face(point=(math.nan, 1.0)),))],
    "a face outside the frame": [seen(1, faces=(face(point=(2000.0, 1.0)),))],
}


@pytest.mark.parametrize("story", GOOD)
def test_the_witness_finds_nothing_in_a_true_stream(consistency: Any, story: list[ObservationMessage]) -> None:
    for i, message in enumerate(story):
        consistency.take(message, i / 30)
    assert consistency.violations == []


@pytest.mark.parametrize("kind", BAD)
def test_the_witness_names_what_cannot_be(consistency: Any, kind: str) -> None:
    for i, message in enumerate(BAD[kind]):
        consistency.take(message, i / 30)
    assert kind in consistency.wrong


@pytest.fixture
def report(soak: ModuleType) -> ModuleType:
    return importlib.import_module("faults.report")


def test_what_is_noted_must_be_explained_by_a_fault(report: ModuleType) -> None:
    faults = [report.Fault("stall", 10.0, 12.0), report.Fault("black", 50.0, 52.0)]
    noted, unexplained = report.explain([(11.0, "no_camera"), (51.0, "no_camera"), (11.5, "silent")], faults)
    assert noted == {"no_camera": 2, "silent": 1}
    assert [text.split(" without")[0] for text in unexplained] == ["no_camera at 51.0", "silent at 11.5"]


def test_a_recovery_is_the_return_that_lasts(report: ModuleType) -> None:
    fault = report.Fault("connection lost", 9.0, 10.0)
    tracked = [9.9, 10.01, 10.05, 11.3, 11.31, 11.32]
    assert report.recoveries([fault], tracked)["connection lost"]["most_s"] == 1.3
    assert report.recoveries([fault], tracked[:3])["connection lost"]["recovered"] == 0


def test_growth_is_the_slope_of_a_line(report: ModuleType) -> None:
    samples = [report.Sample(60.0 * i, 100 + i / 60, 11, 14, 0.0) for i in range(11)]
    found = report.growth(samples)
    assert (found["mb_per_hour"], found["grown_mb"], found["range_mb"]) == (1.0, 0.17, 0.17)


def ill(report: ModuleType) -> Any:
    """A story in which all is wrong."""
    return report.Story(
        faults=[report.Fault("stall", 0.0, 1.0)],
        wrong=["a client saw what it should not"],
        warm=report.Sample(0.0, 100.0, 11, 14, 0.0),
        end=report.Sample(1200.0, 130.0, 10, 15, 0.0),
        lost=1,
        lasted_s=1200.0,
        pings_s=[0.0, 15.0],
        end_took_s=15.0,
        log="Traceback (most recent call last)",
        recording={"wrong": "7 after 8"},
    )


def test_whatever_is_not_as_it_should_be_is_named(report: ModuleType) -> None:
    record = {"violations": ["sequence goes back: 1 after 3"]}
    testimony = report.Testimony(record, [(500.0, "silent")], [], 1, "StreamError: closed")
    story = ill(report)
    assert len(report.judge(story, report.figures(story, testimony))) == 15


def test_a_short_soak_under_faults_finds_nothing(soak: ModuleType, tmp_path: Path) -> None:
    plan = soak.Plan(3, 1.0, 0.0, KINDS, longest_s=0.3, calm_s=0.1, stay_s=0.3, client_wait_s=0.2, settle_s=1.5)
    with contextlib.closing(soak.Camera(soak.draw_scenes(plan.seed), plan.seed)) as camera:
        figures, wrong = soak.soak(camera, plan, tmp_path)
    assert {kind for kind, row in figures["faults"].items() if row["recovered"]} == {"connection lost", *KINDS}
    assert set(figures["client_faults"]["made"]) == set(importlib.import_module("faults.clients").CLIENT_FAULTS)
    assert [text for text in wrong if not text.startswith(TOO_SHORT) and "threads instead" not in text] == []


def test_a_full_disk_ends_the_recording_not_the_stream(soak: ModuleType, tmp_path: Path) -> None:
    with contextlib.closing(soak.Camera(soak.draw_scenes(0), 0)) as camera:
        found, wrong = soak.full_disk(camera, tmp_path)
    assert wrong == []
    assert found["exit_code"] == 2
