"""What is slower is told from noise, and the program from the machine."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from fkp_edge.bench.compare import Change, Changes, compare
from fkp_edge.errors import InputError


def change_of(found: Changes, figure: str) -> Change:
    return next(change for change in found.changes if change.figure == figure)


def test_two_measurements_of_one_program_differ_by_noise(make_result):
    found = compare(make_result(seed=1), make_result(seed=2))
    assert {change.verdict for change in found.changes} == {"within noise"}
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
    assert change_of(found, "closed loop: infer, p50 ms").verdict == "too few to tell"
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


def test_no_common_model_is_refused(make_result):
    after = make_result()
    renamed = msgspec.structs.replace(after.models[0], model="b.tflite")
    with pytest.raises(InputError, match=r"no model in common: a\.tflite and b\.tflite"):
        compare(make_result(), msgspec.structs.replace(after, models=(renamed,)))
