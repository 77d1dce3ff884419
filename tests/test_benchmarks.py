"""The parts of the benchmarks that need neither an emulator nor research data."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Change
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import list_operators, open_model
from fkp_edge.model.shipped import shipped_model

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A benchmark as a module: the folder is no package."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look there for types
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def instructions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # as a program it finds emulated_pi.py beside it
    return load("instructions", monkeypatch)


@pytest.fixture
def conditions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("conditions", monkeypatch)


@pytest.fixture(scope="module")
def flatbuffer() -> bytes:
    return read_model_file(shipped_model()).flatbuffer


def run(content: bytes) -> list[np.ndarray]:
    """Outputs for inputs of ones."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


# instructions


def test_every_operator_is_listed_in_order(instructions, flatbuffer: bytes):
    operators = instructions.read_operators(flatbuffer)
    assert [operator.index for operator in operators] == list(range(len(operators)))
    counts = {(o.name, o.count) for o in list_operators(flatbuffer)}
    names = [operator.name for operator in operators]
    assert {(name, names.count(name)) for name in names} == counts


def test_the_cut_after_each_operator_runs_and_gives_what_that_operator_makes(instructions, flatbuffer: bytes):
    for operator in instructions.read_operators(flatbuffer):
        shapes = ["x".join(map(str, out.shape)) for out in run(instructions.cut_after(flatbuffer, operator.index))]
        assert operator.outputs in shapes


def test_the_last_cut_is_the_whole_network(instructions, flatbuffer: bytes):
    last = instructions.read_operators(flatbuffer)[-1].index
    outputs = (sorted(run(file), key=np.size) for file in (instructions.cut_after(flatbuffer, last), flatbuffer))
    for cut, whole in zip(*outputs, strict=True):
        np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize(
    ("name", "weights", "output", "macs"),
    [
        ("CONV_2D", (16, 3, 3, 1), (1, 48, 48, 16), 48 * 48 * 16 * 9),
        ("CONV_2D", (64, 1, 1, 16), (1, 48, 48, 64), 48 * 48 * 64 * 16),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 32), (1, 48, 48, 32), 48 * 48 * 32 * 9),
        ("FULLY_CONNECTED", (30, 864), (1, 30), 30 * 864),
        ("ADD", (), (1, 48, 48, 16), 0),
    ],
)
def test_multiply_accumulates(instructions, name: str, weights, output, macs: int):
    assert instructions.multiply_accumulates(name, weights, output) == macs


def test_marks_give_the_median_of_all_invokes_but_the_first(instructions):
    spans = [[900, 100, 101, 102, 103], [70, 7, 7, 7, 9]]
    marks = [f"MARK thread={n}" for file in spans for span in file for n in (1000, 1000 + span)]
    assert instructions.parse_marks("INFO: hello\n" + "\n".join(marks) + "\n") == [101.5, 7]


def float16_convolution(instructions: ModuleType) -> bytes:
    """A 3x3 convolution whose weights are stored for a DEQUANTIZE before it."""
    schema = instructions.schema
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT(), schema.BufferT()], [], [graph]
    model.buffers[1].data = np.zeros(576, np.uint8)
    graph.tensors, graph.operators = [], []
    for number, shape in enumerate([(8, 3, 3, 4), (8, 3, 3, 4), (1, 6, 6, 4), (1, 6, 6, 8)]):
        graph.tensors.append(schema.TensorT())
        graph.tensors[-1].shape, graph.tensors[-1].buffer = shape, int(number == 0)
    for kind, reads, makes in (("DEQUANTIZE", [0], [1]), ("CONV_2D", [2, 1], [3])):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), reads, makes
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    builder = instructions.flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_weights_kept_as_float16_are_weights(instructions):
    convolution = instructions.read_operators(float16_convolution(instructions))[1]
    assert (convolution.inputs, convolution.weights) == ("1x6x6x4", "8x3x3x4")
    assert convolution.multiply_accumulates == 6 * 6 * 8 * 36


def test_operators_cost_what_their_cut_adds(instructions):
    operators = [instructions.Operator(i, "CONV_2D", "", "", "", macs) for i, macs in enumerate((10, 40))]
    record = instructions.describe(Path("a.tflite"), "", operators, {"pi4": [101.0, 30.0, 100.0]})
    assert [row["instructions"]["pi4"] for row in record["operators"]] == [30, 70]
    assert [row["instructions_per_mac"]["pi4"] for row in record["operators"]] == [3, 1.75]
    assert (record["instructions"], record["sum_of_operators"]) == ({"pi4": 101}, {"pi4": 100})


# reproduction


@pytest.fixture
def reproduction(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # it takes the boards from emulated_pi.py
    return load("reproduction", monkeypatch)


def test_a_summary_has_the_largest_difference_of_each_stage(reproduction):
    differences = [{"stage": "score", "unit": "steps", "allowed": 1.0, "found": found} for found in (0.0, 2.0, 1.0)]
    found = {"model": "m", "sha256": "", "runs_on": "", "reproduces": False, "distance_px": 0.1}
    summary = reproduction.summary(found | {"differences": differences, "cases": 3})
    assert summary["stages"] == {"score": {"unit": "steps", "allowed": 1.0, "found": 2.0}}


@pytest.mark.parametrize("userland", ["bookworm", "trixie"])
@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_an_emulated_pi_reproduces_the_shipped_file(reproduction, board: str, userland: str):
    roots = os.environ.get("FKP_EDGE_ARM64")
    if not roots or not (Path(roots) / userland).is_dir() or not shutil.which("qemu-aarch64"):
        pytest.skip(f"needs qemu-aarch64, and {userland} in the folder that FKP_EDGE_ARM64 names: benchmarks/arm64")
    start = reproduction.emulator(
        Path(roots), reproduction.BOARDS[board], userland=userland, site=reproduction.HERE.parent
    )
    assert reproduction.verify(*start, "keypoints-int8")["distance_px"] == 0


# conditions


@pytest.mark.parametrize("roll", [0, 20])
@pytest.mark.parametrize("pitch", [-15, 0, 15])
@pytest.mark.parametrize("yaw", [-50, -30, 0, 10, 30])
def test_the_yaw_of_a_turned_face_comes_back(conditions, yaw: float, pitch: float, roll: float):
    turn = np.eye(3)
    for axis, degrees in (((1.0, 0, 0), pitch), ((0, 1.0, 0), -yaw), ((0, 0, 1.0), roll)):
        turn = cv2.Rodrigues(np.radians(degrees) * np.array(axis))[0] @ turn
    points = np.zeros((IBUG68.size, 2))
    points[list(conditions.FACE_POINTS)] = 70 + 0.5 * (conditions.FACE @ turn.T)[:, :2]
    looks = -turn[:, 2]
    expected = np.degrees(np.arctan2(looks[0], -looks[2]))
    assert conditions.head_yaw(points) == pytest.approx(expected, abs=5)
    assert roll or expected == pytest.approx(yaw)


def test_each_value_is_in_one_bin(conditions):
    nme = np.array([0.01, 0.02, 0.03, 0.2])
    rows = conditions.rows(nme, np.array([0, 15, 29, 60]), (15, 30, 45))
    assert [(row["from"], row["to"], row["faces"]) for row in rows] == [
        (None, 15, 1),
        (15, 30, 2),
        (30, 45, 0),
        (45, None, 1),
    ]
    assert [row.get("failures_percent") for row in rows] == [0, 0, None, 100]


def test_a_blurred_crop_is_less_sharp_whatever_its_contrast(conditions):
    crop = np.random.default_rng(0).integers(60, 190, (96, 96), np.uint8)
    assert conditions.sharpness(cv2.GaussianBlur(crop, (5, 5), 1)) < 0.5 * conditions.sharpness(crop)
    assert conditions.sharpness(crop // 2) == pytest.approx(conditions.sharpness(crop), rel=0.01)


# conversion


@pytest.fixture
def conversion(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("tensorflow_model_optimization", reason="converting needs fkp-edge[convert]")
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # as a program it finds instructions.py beside it
    return load("conversion", monkeypatch)


def test_a_conversion_is_a_line_with_its_gain_and_its_loss(conversion):
    row = {"name": "small", "macs": [18e6, 12.5e6], "sizes": {"int8": {"bytes": 190e3, "gzip_bytes": 130e3}}}
    row |= {"val": {"loss_percent": 1.1, "interval_percent": [0.6, 1.6]}, "test": {"afw": {"loss_percent": -0.2}}}
    refused = row | {"name": "tiny", "test": {}}
    assert conversion.table([row, refused]).splitlines()[2:] == [
        "| small | 12.50 M | 190 | 130 | +1.10 %, +1.60 % | afw -0.20 % |",
        "| tiny | 12.50 M | 190 | 130 | +1.10 %, +1.60 % | refused |",
    ]


def test_a_network_loses_nothing_against_itself(conversion, portrait_faces):
    model = open_model(shipped_model())
    assert conversion.losses(model, model, [portrait_faces])["portraits"]["loss_percent"] == 0


def test_every_conversion_has_its_recipe(conversion):
    for name in conversion.RECIPES:
        assert (conversion.REPOSITORY / f"convert/{name}.toml").exists()


# published


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("tensorflow", reason="training needs fkp-edge[train]")
    return load("published", monkeypatch)


def published_row(name: str, rmse: float, **more: object) -> dict[str, object]:
    errors = {"rmse_px": rmse, "mae_px": 1.0, "mse_px2": rmse**2, "nme_percent": 5.0}
    network = {"epochs": 7, "cut_short": False, "parameters": 943054, "int8": errors, "latency_ratio": 0.5}
    return {"recipe": name, "missing": "ffill", "float": errors, "bytes": 1e6} | network | more


def test_the_table_is_sorted_by_error_and_ends_with_what_was_not_run(published):
    rows = [published_row("lenet5", 3.0), published_row("vgg16", 4.0), published_row("a", 2.0)]
    lines = published.table(rows).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| a", "| lenet5", "| vgg16"]
    assert lines[3] == ("| lenet5 | ffill | 7 | 943,054 | 3.00 | 1.00 | 9.00 | 3.00 | 1.00 | 0.5 x | dev MSE 20.01 |")
    assert lines[5].startswith("| vgg16_imagenet | not run |")
    assert {line.count("|") for line in lines} == {12}


def test_a_network_that_had_less_is_marked(published):
    row = published_row("vgg16", 4.0, cut_short=True)
    assert "| vgg16 | ffill | 7, cut short |" in published.table([row])


def test_a_recipe_that_was_measured_is_not_measured_again(published, tmp_path: Path):
    (tmp_path / "lenet5.json").write_text('{"recipe": "lenet5"}')
    row = published.measure(published.RECIPES / "lenet5.toml", tmp_path / "no data", tmp_path, 40, 1.0)
    assert row == {"recipe": "lenet5"}


def test_the_baseline_is_measured_without_a_network(published, tmp_path: Path, kaggle_row, write_csv):
    rows = [kaggle_row | {"Image": " ".join(str((i * n) % 256) for i in range(96 * 96))} for n in range(1, 15)]
    write_csv(tmp_path / "training.csv", *rows)
    coordinates = {column: cell for column, cell in kaggle_row.items() if column != "Image"}
    write_csv(tmp_path / "test.csv", {"ImageId": "1", "Image": kaggle_row["Image"]})
    write_csv(tmp_path / "test_labels.csv", {"ImageId": "1"} | coordinates)
    row = published.measure(published.RECIPES / "knn.toml", tmp_path, tmp_path / "out", 40, 1.0)
    assert row["float"]["rmse_px"] == pytest.approx(0, abs=1e-3)  # every face has the same points
    assert (tmp_path / "out/knn.json").exists()


def test_the_readmes_table_is_fresh(published):
    results = json.loads(published.RESULT.read_text())
    assert published.table(results["rows"]) in (published.RECIPES / "README.md").read_text()


# growth, limit and the page that they fill


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # it finds performance_page.py beside it
    return load("growth", monkeypatch)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return load("limit", monkeypatch)


def test_a_law_is_the_line_through_the_figures(growth):
    found = growth.law([1, 2, 3], [3.0, 5.0, 7.0])
    assert (found["start"], found["slope"], found["off_at_most"]) == pytest.approx((1, 2, 0), abs=1e-9)


def test_the_picture_of_the_growth_is_that_of_the_results(growth):
    result = json.loads((BENCHMARKS / "results/growth.json").read_text())
    assert growth.SVG.read_text() == growth.plot(result)


def test_faces_of_the_growth_are_followed(growth):
    spans = growth.track(growth.moving((1280, 720), 2), 2, open_model(shipped_model()))
    assert len(spans) > growth.FRAMES / 2


def test_publishing_to_clients_in_another_process_is_timed(growth):
    assert set(growth.publish(2, 0.2)) == {"publish_ms", "cpu_ms"}


def test_kinds_of_operators_add_up_to_the_whole(limit):
    names = ("QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD")
    operators = [limit.Operator(i, name, "", "", "", 10 * i) for i, name in enumerate(names)]
    rows = limit.by_kind(operators, [1.0, 3.0, 4.0, 8.0, 8.5])
    assert [(row["kind"], row["ms"], row["multiply_accumulates"]) for row in rows] == [
        ("the first operator, with the call itself", 1, 0),
        ("convolutions", 6, 40),
        ("depthwise convolutions", 1, 20),
        ("all else", 0.5, 40),
    ]


def test_a_page_is_filled_between_its_marks(growth):
    page = "before\n<!-- a -->\nold\n<!-- /a -->\nafter <!-- b -->"
    assert growth.fill(page, "a", "new \\1") == "before\n<!-- a -->\n\nnew \\1\n\n<!-- /a -->\nafter <!-- b -->"


def test_the_excess_of_two_runs_is_what_the_interval_does_not_hold(monkeypatch: pytest.MonkeyPatch):
    between = load("between_runs", monkeypatch)
    fields = {"model": "a", "figure": "b, p50 ms", "before": 1.0, "after": 1.1, "change_percent": 10.0}
    low, high = 3 - BETWEEN_RUNS_PERCENT, 17 + BETWEEN_RUNS_PERCENT
    assert between.excess(Change(**fields, interval_percent=(low, high))) == 3
    assert between.excess(Change(**fields, interval_percent=(-high, -low))) == 3
    assert between.excess(Change(**fields, interval_percent=(-5.0, 5.0))) == 0


# slow_boards and the page that it fills


@pytest.fixture
def slow_boards(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return load("slow_boards", monkeypatch)


def test_the_page_of_boards_says_what_slow_boards_gave(slow_boards):
    result = json.loads((BENCHMARKS / "results/slow_boards.json").read_text())
    page = slow_boards.BOARDS.read_text()
    assert slow_boards.fill(page, "slow boards", slow_boards.page(result)) == page


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from faults.syscalls import kill_before
folder, (wait, go) = Path(sys.argv[2]), os.pipe()
child = os.fork()
if not child:
    os.read(wait, 1)
    for name in "abc":
        (folder / name).write_text(name)
    os._exit(0)
print(kill_before(child, int(sys.argv[3]), folder, go))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the benchmark knows the system calls of x86-64")
@pytest.mark.parametrize(
    ("number", "said", "left"),
    [
        (1, "Killed(call='openat', file='a')", {}),
        (4, "Killed(call='write', file='b')", {"a": "a", "b": ""}),
        (9, "None", {"a": "a", "b": "b", "c": "c"}),
    ],
)
def test_a_process_is_ended_just_before_a_system_call(
    tmp_path: Path, number: int, said: str, left: dict[str, str]
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(BENCHMARKS), str(tmp_path), str(number)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == said, done.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == left
