"""What is slower is told from noise, and the program from the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Change, Changes, compare
from fkp_edge.bench.records import Result, latency
from fkp_edge.errors import InputError


def change_of(found: Changes, figure: str) -> Change:
    return next(change for change in found.changes if change.figure == figure)


def changed(result: Result, **fields: Any) -> Result:
    """`result` with other fields of its model."""
    return msgspec.structs.replace(result, models=(msgspec.structs.replace(result.models[0], **fields),))


def with_loop(result: Result, **fields: Any) -> Result:
    """`result` with other fields of its closed loop."""
    return changed(result, closed=msgspec.structs.replace(result.models[0].closed, **fields))


@pytest.fixture
def losing(make_result: Callable[..., Result]) -> Callable[[int], Result]:
    """A result whose closed loop lost so many of 2000 frames."""
    return lambda lost: with_loop(make_result(), frames=2000, dropped=0, missed=lost)


def test_two_measurements_of_one_program_differ_by_noise(make_result):
    found = compare(make_result(seed=1), make_result(seed=2))
    assert {change.verdict for change in found.changes} == {"within noise", "the same"}
    assert found.regressions(0.5) == []


def test_a_slower_network_is_a_regression(make_result):
    found = compare(make_result(seed=1), make_result(seed=2, infer_ms=0.36))
    assert change_of(found, "network alone, 1 thread, p50 ms").change_percent == pytest.approx(20, abs=1)
    assert change_of(found, "closed loop: infer, p50 ms").verdict == "worse"
    assert "closed loop: infer, p50 ms" in [change.figure for change in found.regressions(15)]
    assert found.regressions(25) == []


def test_a_faster_network_is_none(make_result):
    found = compare(make_result(), make_result(infer_ms=0.2))
    assert change_of(found, "closed loop: infer, p50 ms").verdict == "better"
    assert found.regressions(1) == []


def test_a_machine_that_was_slower_is_not_the_programs_fault(make_result):
    found = compare(make_result(), make_result(infer_ms=0.36, reference_ms=1.2))
    assert found.machine_percent == pytest.approx(20, abs=0.5)
    assert change_of(found, "closed loop: infer, p50 ms").verdict == "within noise"


def test_few_durations_tell_nothing(make_result):
    found = compare(make_result(count=4), make_result(count=4, infer_ms=0.6))
    assert change_of(found, "closed loop: infer, p50 ms").verdict == "not known"
    assert found.regressions(10) == []


def test_other_machines_are_named(make_result, board):
    other = msgspec.structs.replace(board, model="Raspberry Pi 4 Model B Rev 1.4", cpu="Cortex-A72")
    found = compare(make_result(), make_result(before=other))
    assert not found.same_machine
    assert "Raspberry Pi 5" in found.before
    assert "Raspberry Pi 4" in found.after


def test_what_else_differs_is_said(make_result):
    after = make_result(source="v4l2:0", warnings=("it was warm",))
    found = compare(make_result(), after)
    assert "they were not measured alike: source demo and v4l2:0" in found.remarks
    assert "the second: it was warm" in found.remarks


def test_another_file_of_the_same_name_is_said(make_result):
    after = make_result()
    changed = msgspec.structs.replace(after.models[0], sha256="cd" * 32)
    found = compare(make_result(), msgspec.structs.replace(after, models=(changed,)))
    assert "a.tflite is another file: abababababab -> cdcdcdcdcdcd" in found.remarks


def test_accuracy_is_compared_face_by_face(make_result):
    errors = np.random.default_rng(0).gamma(9, 0.5, 300)
    found = compare(make_result(errors=errors.tolist()), make_result(errors=(errors * 1.02).tolist()))
    change = change_of(found, "NME, %")
    assert change.verdict == "worse"
    assert change.interval_percent == pytest.approx((2, 2), abs=0.01)


def test_accuracy_on_other_faces_is_not_compared(make_result):
    found = compare(make_result(errors=[4.0, 5.0]), make_result(errors=[4.0]))
    assert "NME, %" not in [change.figure for change in found.changes]
    assert "a.tflite: accuracy on other faces: drawn 2 in 2 crops and drawn 1 in 1 crops, not compared" in found.remarks


def test_no_common_model_is_refused(make_result):
    after = make_result()
    renamed = msgspec.structs.replace(after.models[0], model="b.tflite")
    with pytest.raises(InputError, match=r"no model in common: a\.tflite and b\.tflite"):
        compare(make_result(), msgspec.structs.replace(after, models=(renamed,)))


# frames lost

RECEIVED = "closed loop: frames due for each received"


def test_losing_frames_is_a_regression(losing):
    change = change_of(found := compare(losing(0), losing(300)), RECEIVED)
    assert (change.before, change.after) == (1, pytest.approx(2000 / 1700))
    newcombe = np.array([15.6 - BETWEEN_RUNS_PERCENT, 19.95 + BETWEEN_RUNS_PERCENT])
    assert change.interval_percent == pytest.approx(newcombe, abs=1)  # the reference work's share is below that
    assert found.regressions(10) == [change]


def test_losing_as_many_frames_is_none(losing):
    assert change_of(compare(losing(0), losing(0)), RECEIVED).verdict == "within noise"
    assert change_of(compare(losing(100), losing(110)), RECEIVED).verdict == "within noise"


def test_a_machine_that_was_busier_loses_frames_without_the_programs_fault(make_result, losing):
    busy = msgspec.structs.replace(losing(300), reference=make_result(reference_ms=1.3).reference)
    assert change_of(compare(losing(0), busy), RECEIVED).verdict == "within noise"


def test_losing_fewer_frames_is_better(losing):
    assert change_of(compare(losing(300), losing(0)), RECEIVED).verdict == "better"


def test_losing_every_frame_is_a_regression_whatever_is_allowed(losing):
    (change,) = compare(losing(0), losing(2000)).regressions(1e6)
    assert (change.figure, change.after, change.verdict) == (RECEIVED, None, "worse")


def test_frames_that_were_dropped_before_the_engine_are_lost_too(make_result):
    found = compare(make_result(), with_loop(make_result(), dropped=100))
    assert change_of(found, RECEIVED).after == pytest.approx(500 / 399)


def test_a_loop_that_had_no_frames_is_a_remark(make_result, losing):
    found = compare(losing(0), with_loop(make_result(), frames=0, missed=0))
    assert f"a.tflite, {RECEIVED}: not compared, 2000 and 0 were due" in found.remarks


# tails, bytes and RMSE


def test_a_longer_tail_is_a_regression_though_the_median_stays(make_result):
    durations = np.full(2000, 300_000)
    durations += np.random.default_rng(0).integers(-9000, 9000, 2000)
    late = durations + (np.arange(2000) % 25 == 0) * 600_000
    first, second = (with_loop(make_result(), stages={"engine": latency(d.tolist())}) for d in (durations, late))
    found = compare(first, second)
    assert change_of(found, "closed loop: engine, p99 ms").verdict == "worse"
    assert change_of(found, "closed loop: engine, p50 ms").verdict == "within noise"


def test_the_tail_of_few_durations_is_not_known(make_result):
    found = compare(make_result(count=100), make_result(count=100))
    assert change_of(found, "closed loop: end to end, p99 ms").verdict == "not known"


def test_a_bigger_file_is_certainly_bigger(make_result):
    found = compare(make_result(), changed(make_result(), flatbuffer_bytes=1020))
    change = change_of(found, "flatbuffer, kB")
    assert (change.interval_percent, change.verdict) == ((2, 2), "worse")


def test_a_file_of_the_same_size_is_the_same(make_result):
    assert change_of(compare(make_result(), make_result()), "flatbuffer, kB").verdict == "the same"


def test_rmse_is_shown_without_a_verdict(make_result):
    result = make_result(errors=[4.0, 5.0])
    worse = changed(result, accuracy=msgspec.structs.replace(result.models[0].accuracy, rmse_px=2.0))
    change = change_of(compare(result, worse), "RMSE, px")
    assert (change.before, change.after, change.verdict) == (1, 2, "not known")


def test_faces_without_a_known_error_have_no_interval(make_result):
    result = make_result(errors=[4.0, 5.0])
    unknown = msgspec.structs.replace(result.models[0].accuracy, nme_by_face=(None, None))
    found = compare(result, changed(result, accuracy=unknown))
    assert change_of(found, "NME, %").interval_percent is None


def test_frames_of_one_person_are_drawn_together(make_result):
    errors = [4.0, 4.0, 4.0, 6.0, 6.0, 6.0]
    result, worse = (make_result(errors=[e + more for e in errors]) for more in (0.0, 0.1))

    def width(subject: tuple[int, ...] | None) -> float:
        accuracy = msgspec.structs.replace(worse.models[0].accuracy, subject_by_face=subject)
        low, high = change_of(compare(result, changed(worse, accuracy=accuracy)), "NME, %").interval_percent
        return high - low

    assert width((0, 0, 0, 1, 1, 1)) > 1.2 * width(None)


# what only one of the two has


def starts(result: Result, *seconds: float | None) -> Result:
    """`result` with these times to the first keypoints."""
    start = result.models[0].start[0]
    return changed(result, start=tuple(msgspec.structs.replace(start, first_keypoints_s=s) for s in seconds))


def test_a_program_that_finds_no_face_any_more_is_a_regression(make_result):
    found = compare(make_result(), starts(make_result(), None, None, None))
    (change,) = found.regressions(1e6)
    assert (change.figure, change.after) == ("start: first keypoints, s", None)


def test_a_start_without_keypoints_is_a_remark(make_result):
    found = compare(make_result(), starts(make_result(), 0.6, None, 0.6))
    assert "a.tflite, start: first keypoints, s: none in 1 of 3 starts of the second" in found.remarks
    assert change_of(found, "start: first keypoints, s").verdict == "not known"


def test_a_first_that_found_no_face_is_a_remark(make_result):
    found = compare(starts(make_result(), None, None, None), make_result())
    assert "a.tflite, start: first keypoints, s: none in 3 of 3 starts of the first" in found.remarks
    assert found.regressions(1) == []


def test_a_loop_without_inferences_any_more_is_a_regression(make_result):
    (change,) = compare(make_result(), with_loop(make_result(), stages={})).regressions(1e6)[:1]
    assert (change.figure, change.verdict) == ("closed loop: infer, p50 ms", "worse")


def test_what_one_of_them_has_alone_is_a_remark(make_result):
    found = latency([1_000_000] * 9)
    stages = make_result().models[0].closed.stages | {"search": found}
    first = changed(with_loop(make_result(errors=[4.0]), stages=stages), network={"1": found, "2": found})
    said = compare(first, make_result()).remarks
    for figure in ("closed loop: search", "network alone, 2 threads", "accuracy"):
        assert f"a.tflite, {figure}: in the first only, not compared" in said


def test_a_steady_state_that_only_the_second_has_is_a_remark(make_result):
    opened = make_result().models[0].open
    second = changed(make_result(), open=msgspec.structs.replace(opened, steady=opened.first_minute))
    assert "a.tflite, open loop, steady: in the second only, not compared" in compare(make_result(), second).remarks


def test_another_accelerator_is_said(make_result):
    found = compare(make_result(), changed(make_result(), accelerator="edgetpu"))
    assert "a.tflite ran on another accelerator: cpu -> edgetpu" in found.remarks


def test_a_change_that_two_runs_of_one_program_have_is_noise(make_result):
    now = make_result(infer_ms=0.3 * (1 + BETWEEN_RUNS_PERCENT / 100))
    assert change_of(compare(make_result(), now), "closed loop: infer, p50 ms").verdict == "within noise"
