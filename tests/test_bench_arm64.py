"""How counted instructions are compared with the committed ones: drawn counts, no emulator."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
BENCHMARKS = REPOSITORY / "benchmarks"
FRAME = ("tracked frame a", "pi4 trixie")
VERSIONS = {"trixie": {"QEMU": "7.2.22", "LiteRT": "2.3.0", "NumPy": "2.4.6", "OpenCV": "4.14.0"}}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # as a program it finds the others beside it
    return importlib.import_module("bench_arm64")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("engine_arm64")


def test_an_inference_has_one_reference_in_both_userlands(bench):
    models = [{"model": "a.tflite", "instructions": {"pi4": 7, "pi5": 5}}]
    costs = bench.inference_costs(models)
    assert {key[1]: count for key, count in costs.items()} == {
        "pi4 bookworm": 7, "pi5 bookworm": 5, "pi4 trixie": 7, "pi5 trixie": 5
    }  # fmt: skip


def test_a_machine_has_a_frame_a_network_and_one_search(bench):
    row = {"machine": "pi4 trixie", "instructions": {"search": 300, "tracked_frame": {"a": 10, "b": 8}}}
    assert {what: count for (what, _), count in bench.engine_costs([row]).items()} == {
        "tracked frame a": 10, "tracked frame b": 8, "search": 300
    }  # fmt: skip


@pytest.mark.parametrize(("now", "named"), [(10_000, 0), (10_049, 0), (10_051, 1), (9_000, 0)])
def test_what_grew_beyond_the_tolerance_is_named(bench, now: int, named: int):
    lines = bench.verdict(bench.compare({FRAME: 10_000}, {FRAME: now}))
    assert len(lines) == named
    assert all(line.startswith("tracked frame a on pi4 trixie takes 0.51 % more") for line in lines)


def test_a_smaller_cost_is_no_failure_but_makes_the_reference_out_of_date(bench):
    changes = bench.compare({FRAME: 10_000}, {FRAME: 9_000})
    assert bench.verdict(changes) == []
    assert bench.out_of_date(changes) == [
        "some take less than in the reference; make bench-arm64 ARGS=--update writes it anew"
    ]


@pytest.mark.parametrize(("reference", "now"), [({}, {FRAME: 5}), ({FRAME: 5}, {})])
def test_what_is_in_one_of_them_alone_is_no_failure(bench, reference, now):
    changes = bench.compare(reference, now)
    assert [str(change).split()[-1] for change in changes] == (["5"] if now else ["none"])
    assert bench.verdict(changes) == []
    assert bench.out_of_date(changes) == ["some are not in both; make bench-arm64 ARGS=--update writes it anew"]


def test_another_runtime_is_named(bench):
    newer = {"trixie": VERSIONS["trixie"] | {"LiteRT": "2.4.0"}}
    assert bench.other_versions(VERSIONS, VERSIONS) == []
    assert bench.other_versions(VERSIONS, newer) == [
        "LiteRT on trixie is 2.4.0, 2.3.0 in the reference: a change may be its"
    ]


def test_the_report_has_the_change_and_the_versions(bench):
    report = bench.report(bench.compare({FRAME: 10_000}, {FRAME: 10_100}), VERSIONS, VERSIONS).splitlines()
    assert report[1].split() == ["tracked", "frame", "a", "pi4", "trixie", "10,000", "10,100", "+1.00", "%"]
    assert report[2] == "trixie: QEMU 7.2.22, LiteRT 2.3.0, NumPy 2.4.6, OpenCV 4.14.0"
    assert report[3].endswith("takes 1.00 % more instructions than the reference, 0.5 % allowed")


def test_a_tracked_frame_is_the_median_without_the_frame_that_searches(engine):
    marks = [1_000, 1_300]
    for tracked in (10, 8):
        marks += [marks[-1] + 350 + tracked * frame for frame in range(engine.FRAMES)]
    text = "".join(f"MARK thread={mark}\n" for mark in marks)
    assert engine.counted(text, ["a", "b"]) == {"search": 300, "tracked_frame": {"a": 10, "b": 8}}


@pytest.mark.parametrize(("missing", "package"), [("qemu-aarch64", "qemu-user"), ("mmdebstrap", "mmdebstrap")])
def test_a_program_that_roots_needs_is_named_with_its_package(tmp_path: Path, missing: str, package: str):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {"bash", "dirname", "id", "setarch", "qemu-aarch64", "mmdebstrap"} - {missing}:
        (programs / name).symlink_to(shutil.which(name) or "/bin/true")
    command = [programs / "bash", BENCHMARKS / "arm64/roots.sh", tmp_path / "roots"]
    done = subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == f"roots.sh: {missing} is missing; apt install {package}\n"


def test_the_reference_has_every_shipped_network_as_it_ships(bench):
    shipped = {path.name: bench.instructions.read_model_file(path).sha256 for path in bench.shipped_files()}
    counted = {entry["model"]: entry["sha256"] for entry in json.loads(bench.INSTRUCTIONS.read_text())["models"]}
    assert counted.items() >= shipped.items()
    rows = json.loads(bench.ENGINE.read_text())["rows"]
    assert all(set(row["instructions"]["tracked_frame"]) == set(bench.engine_arm64.MODELS) for row in rows)


def test_a_folder_without_userlands_is_refused_with_what_builds_them(engine, tmp_path: Path, capsys):
    with pytest.raises(SystemExit, match="2"):
        engine.emulator(tmp_path, engine.BOARDS["pi4"])
    assert "bookworm is no userland; benchmarks/arm64/roots.sh" in capsys.readouterr().err


def test_another_file_than_mediapipes_is_refused(bench, tmp_path: Path, capsys):
    (tmp_path / bench.MODEL).write_bytes(b"TFL3")
    with pytest.raises(SystemExit, match="2"):
        bench.fetch_network(tmp_path)
    assert "remove it to have it fetched again" in capsys.readouterr().err
