"""The README is true: its figures come from committed results, its commands exist, its links lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fkp_edge.cli.main import build_parser
from fkp_edge.device.tracking.pose import MEAN_FACE
from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = sorted(path.stem for path in shipped_model().parent.glob("keypoints*.tflite"))
README = (REPOSITORY / "README.md").read_text()
PAGES = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("*/README.md"),
    *REPOSITORY.glob("train/published/README.md"),
    *REPOSITORY.glob("docs/*.md"),
]
SETS = {"AFW": "afw", "YouTube Faces": "ytf"}
CROPS = {"the labels'": "gt", "as the tracker frames them": "jitter", "Haar's box": "haar"}


def results(name: str) -> Any:
    return json.loads((REPOSITORY / f"benchmarks/results/{name}.json").read_text())


def accuracy(crops: str) -> dict[str, dict[str, Any]]:
    return {entry["model"]: entry for entry in results(f"accuracy_{crops}")}


def expected_row(name: str, crops: str) -> str:
    entries = accuracy(CROPS[crops])
    before = entries["keypoints-float32.tflite"]["sets"][SETS[name]]
    after = entries["keypoints-int8.tflite"]["sets"][SETS[name]]
    total = after["faces"] + after["missed"]
    faces = f"{after['faces']} of {total}" if after["missed"] else f"{total}"
    figures = [f"{after['failures_percent']:.1f}", f"{after['tracked_nme_percent']:.2f}"]
    figures += [f"{after.get('gt_nme_percent', after['nme_percent']):.2f}"]
    nme = f"{before['nme_percent']:.2f} % | {after['nme_percent']:.2f} %"
    return f"| {name} | {crops} | {faces} | {nme} | {' % | '.join(figures)} % |"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path: Path) -> None:
    head = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) if line.startswith("|") else 0
        assert not head or cells in (0, head), f"line {number}: {line}"
        head = cells and (head or cells)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("crops", CROPS)
def test_accuracy_rows_come_from_the_results(name: str, crops: str) -> None:
    assert expected_row(name, crops) in README


def test_figures_of_photographs_and_engine_come_from_the_results() -> None:
    scenes = accuracy("gt")["keypoints-int8.tflite"]["scenes"]
    engine = results("engine_cost")["results"][0]
    text = " ".join(README.split())
    assert f"`predict` finds {scenes['found_percent']:.1f} % of {scenes['faces']} annotated faces" in text
    assert f"(Haar alone proposes {scenes['proposed_percent']:.1f} %)" in text
    people = results("scenes")["people_left_out"]
    assert f"with {scenes['false_faces_per_photograph']:.3f} false faces a photograph" in text
    assert f"{people['false_faces_per_photograph']:.3f} remain" in text
    assert f"ROC AUC of {scenes['score_auc']:.3f}" in text
    assert f"({people['score_auc']:.3f} without those people)" in text
    assert f"costs {engine['process_over_invoke']:.2f} times the network alone" in text


@pytest.mark.parametrize("name", SETS)
def test_rows_of_68_points_come_from_the_results(name: str) -> None:
    before, after = (
        entry["sets"][SETS[name]] for entry in sorted(results("accuracy68"), key=lambda entry: entry["model"])
    )
    nme = f"{before['nme_percent']:.2f} % | {after['nme_percent']:.2f} %"
    assert f"| {name} | {after['faces']} | {nme} | {after['failures_percent']:.1f} % |" in README


def test_figures_of_the_small_file_come_from_the_results() -> None:
    sets = accuracy("gt")["keypoints-small-int8.tflite"]["sets"]
    counts = {entry["model"]: entry for entry in results("instructions")["models"]}
    small, whole = (counts[f"keypoints{name}-int8.tflite"]["instructions"] for name in ("-small", ""))
    text = " ".join(README.split())
    assert f"{sets['afw']['nme_percent']:.2f} % on AFW and {sets['ytf']['nme_percent']:.2f} % on YouTube Faces" in text
    fewer = [f"{100 * (1 - small[board] / whole[board]):.0f} %" for board in ("pi4", "pi5")]
    assert f"{fewer[0]} fewer instructions on a Pi 4's core and {fewer[1]} fewer on a Pi 5's" in text


def test_instructions_come_from_the_results() -> None:
    entry = next(e for e in results("instructions")["models"] if e["model"] == "keypoints-int8.tflite")
    pi4, pi5 = (entry["instructions"][board] / 1e6 for board in ("pi4", "pi5"))
    text = " ".join(README.split())
    assert f"{entry['multiply_accumulates'] / 1e6:.1f} million multiply-accumulates" in text
    assert f"{pi4:.2f} million instructions on a Pi 4's core and {pi5:.2f} million on a Pi 5's" in text
    assert pi4 <= 10
    assert pi5 <= 5


def test_figures_of_the_stream_come_from_the_results() -> None:
    load = results("stream_load")["summary"]
    late, bare = load["publish_to_receive_p99_ms"], load["bare_publish_to_receive_p99_ms"]
    *moved, most = (f"{value:.0f}" for value in load["engine_p99_moved_percent"])
    text = " ".join(README.split())
    assert f"at least {100 * load['least_share_received']:.2f} % of the observations" in text
    assert f"receiving {min(late):.1f} to {max(late):.1f} ms" in text
    assert f"beside it: {min(bare):.1f} to {max(bare):.1f} ms" in text
    assert f"found {load['stale_bytes_of_the_sleeper'] / 1000:.0f} kB of stale lines" in text
    assert f"memory grew by {load['resident_mb_grown']} MB" in text
    assert f"p99 moved by {', '.join(moved)} and {most} %" in text
    assert max(late) <= 15
    assert load["least_share_received"] >= 0.99
    assert load["stale_bytes_of_the_sleeper"] <= 64 * 1024


def test_figures_of_hostile_inputs_come_from_the_results() -> None:
    hostile = results("stream_hostile")
    before, after = hostile["before"], hostile["after"]
    missed = max(r["missed"] / (r["read"] + r["missed"]) for r in hostile["readers"].values())
    text = " ".join(README.split())
    assert f"{hostile['inputs']:,} hostile inputs" in text
    assert f"missed at most {100 * missed:.1f} % of the observations" in text
    grown = after["resident_mb"] - before["resident_mb"]
    assert f"grew by {grown:.1f} MB over {sum(hostile['sockets'].values()):,} connections" in text
    assert f"of which {after['malloc_used_mb'] - before['malloc_used_mb']:.1f} MB is in use" in text
    assert f"leaves {before['resident_mb'] - after['resident_trimmed_mb']:.1f} MB less than before the attack" in text
    bare = hostile["bare_aiohttp"]
    assert (
        f"beside it grew by {bare['after']['resident_mb'] - bare['before']['resident_mb']:.1f} MB over 13,500" in text
    )
    assert [after[key] for key in ("descriptors", "threads")] == [before[key] for key in ("descriptors", "threads")]
    assert hostile["slow"]["ended_by_the_server"] == hostile["slow"]["connections"] == 300


def test_figures_of_the_device_come_from_the_results() -> None:
    found = results("pose")["int8_against_labels_degrees"]
    ahead, turned = found["yaw 0 to 15"], found["yaw 30 to 90"]
    text = " ".join((REPOSITORY / "device/README.md").read_text().split())
    assert f"by {ahead['pitch']['median']:.1f} degrees in the median (5 %: over {ahead['pitch']['p95']:.1f})" in text
    assert f"yaw by {ahead['yaw']['median']:.1f} and roll by {ahead['roll']['median']:.1f} where" in text
    assert f"yaw by {turned['yaw']['median']:.1f} above 30" in text
    tilted = next(row for row in results("tilted_search") if row["degrees"] == 35)
    assert (
        f"of {tilted['faces']} faces in photographs turned by 35 degrees that finds {tilted['with_turns']} instead"
        in text
    )
    assert f"instead of {tilted['upright']} " in text
    default, profiles, *others = results("search_settings")["rows"]
    assert (default["longest_side"], default["scale_factor"], default["min_neighbors"]) == (480, 1.1, 1)
    alike = [row for row in others if (row["longest_side"], row["scale_factor"]) == (480, 1.1)]
    one, three = (next(row for row in alike if row["min_neighbors"] == count) for count in (1, 3))
    for name, words in (("val/scenes", " of their faces (validation"), ("test/scenes", ")")):
        assert f"{one[name]['found_percent']} instead of {three[name]['found_percent']} %{words}" in text
        assert one[name]["cost"] < 1.1 * three[name]["cost"]
    assert f"would add {profiles['val/scenes']['found_percent'] - default['val/scenes']['found_percent']:.1f}" in text
    rows = results("crossing")["rows"]
    pairs, renamed = (sum(row[key] for row in rows) for key in ("pairs", "renamed"))
    assert f"Of {pairs} composed crossings of two people at three speeds none swapped them; in {renamed} the" in text
    assert {row["swapped"] for row in rows} == {0}
    assert list(results("pose")["mean_face"].values()) == MEAN_FACE.tolist()


def test_figures_of_smoothing_come_from_the_results() -> None:
    found, default = results("smoothing"), SmoothingSettings()
    raw, chosen = found["unsmoothed"], found["chosen"]
    (ours,) = (s for s in found["settings"] if (s["min_cutoff_hz"], s["beta"]) == (default.min_cutoff_hz, default.beta))
    text = " ".join((REPOSITORY / "device/README.md").read_text().split())
    assert (
        f"it finds {chosen['min_cutoff_hz']:g} Hz and {chosen['beta']:g}: jitter {chosen['jitter_px']:.2f} px" in text
    )
    assert f"instead of {raw['jitter_px']:.2f}, lag {chosen['lag_ms']:.0f} ms; the defaults" in text
    default_line = f"{ours['min_cutoff_hz']:g} Hz and {ours['beta']:g}, leave {ours['jitter_px']:.2f} px and lag"
    assert f"{default_line} {ours['lag_ms']:.0f} ms" in text


def test_figures_of_clips_and_of_long_runs_come_from_the_results() -> None:
    clips, soak = results("clips"), results("soak")
    text = " ".join((REPOSITORY / "device/README.md").read_text().split())
    tracked = [c for name, c in clips.items() if name != "demo" and c["states"] == {"tracking": c["frames"]}]
    two = clips["head-pose-face-detection-female-and-male.mp4"]
    assert (len(tracked), {c["searches"] for c in tracked}, len(clips)) == (4, {1}, 6)
    assert [face["frames"] for face in two["of_four"].values()] == [two["frames"]] * 2 == [56, 56]
    assert max(face["longest_step"] for c in tracked for face in c["of_four"].values()) <= 0.12
    memory, searching = soak["memory"], soak["searching"]
    assert f"Over {memory['frames']:,} frames, two faces allowed, the process grew by {memory['grown_mb']} MB" in text
    assert f"took {searching['cpu_share']:.2f} of a core with {searching['allowed']:.2f} allowed" in text
    assert memory["grown_mb"] <= 3
    assert searching["cpu_share"] <= searching["allowed"]


def test_figures_of_the_soak_under_faults_come_from_the_results() -> None:
    soak = results("soak_faults")
    faults, clients, witness = soak["faults"], soak["client_faults"]["made"], soak["witness"]
    memory, threads, open_files = soak["memory"], soak["threads"], soak["descriptors"]
    page = (REPOSITORY / "docs/operations.md").read_text()
    text = " ".join(page.split())
    load = [f"{soak['machine'][f'load_at_{when}'][0]:.1f}" for when in ("start", "end")]
    assert f"{soak['minutes']:g} minutes of random faults" in text
    assert f"(load {load[0]} at the start, {load[1]} at the end)" in text
    assert f"as they were taken, {soak['frames_per_s']:.0f} a second on average" in text
    times = sum(row["count"] for row in faults.values())
    assert f"It failed, or the process was stopped, {times} times in {len(faults)} ways" in text
    assert f"misbehaved {sum(clients.values()):,} times in {len(clients)} ways" in text
    assert f"{witness['messages']:,} messages of {witness['frames']:,} frames on one connection" in text
    assert f"{memory['median_mb']:.0f} MB; its fitted line changed by {memory['grown_mb']:+.2f} MB over" in text
    assert (
        f"the last {soak['minutes'] - soak['warm_minutes']:g} minutes (its range was {memory['range_mb']:.1f}" in text
    )
    assert f"of {threads['lasting']} threads that do not read the camera {threads['lost']} ended" in text
    assert f"{open_files['end']} descriptors were open as at the start" in text
    assert f"came every {soak['keep_alives']['longest_wait_s']:g} s at most" in text
    assert f"ended it in {soak['sigterm']['seconds']:g} s with exit code 0" in text
    for kind, row in faults.items():
        assert f"| {kind} | {row['count']} | {row['median_s']:.2f} | {row['most_s']:.2f} |" in page
    assert soak["minutes"] >= 20
    assert soak["violations"] == witness["violations"] == []


def test_figures_of_live_frames_come_from_the_results() -> None:
    live = results("live")
    ratios = [found["searching"]["p99_over_p50"] for found in live["frame_times"]]
    back = live["recovery"]
    text = " ".join((REPOSITORY / "device/README.md").read_text().split())
    assert f"frame is {min(ratios)} to {max(ratios)} times its median in five runs" in text
    assert f"{back['median_s']} s later in the median, {back['most_s']} s at most, of {back['returns']} returns" in text
    assert max(ratios) <= 2
    assert back["most_s"] <= 0.3
    assert back["found"] == back["returns"]
    assert results("engine_cost")["results"][0]["process_over_invoke"] <= 1.6


def test_figures_of_emulated_boards_come_from_the_results() -> None:
    rows = results("engine_arm64")["rows"]
    model = "keypoints-int8"
    pi4, pi5 = (row["instructions"]["tracked_frame"][model] / 1e6 for row in rows[:2])
    text = " ".join((REPOSITORY / "device/README.md").read_text().split())
    assert f"takes {pi4:.2f} million instructions on a Pi 4's core and {pi5:.2f} million" in text
    assert f"a search {rows[0]['instructions']['search'] / 1e6:.0f} million" in text
    off = [row["points_within_px"] for row in rows]
    assert {row[model] for row in off for model in row if model.endswith("-int8")} == {0.0}
    float32 = max(row[model] for row in off for model in row if model.endswith("-float32"))
    assert f"those of the float32 files are up to {float32:.1f} px away" in text


def conversion_row(row: dict[str, Any]) -> str:
    """A line of convert/README.md's table."""
    size, (_, most) = row["sizes"]["int8"], row["val"]["interval_percent"]
    cells = [f"{row['macs'][1] / 1e6:.2f} M", f"{size['bytes'] / 1000:.0f} kB", f"{size['gzip_bytes'] / 1000:.0f} kB"]
    cells += [f"{row['val']['loss_percent']:+.2f} %", f"{most:+.2f} %"]
    cells += [f"{loss['loss_percent']:+.2f} %" for loss in row["test"].values()]
    return " | ".join(cells)


def test_figures_of_conversions_come_from_the_results() -> None:
    text = (REPOSITORY / "convert/README.md").read_text()
    rows = {row["name"]: row for row in results("convert")["rows"]}
    for name, row in rows.items():
        label = f"`train/published/{name.removeprefix('published-')}.toml`" if "-" in name else f"`{name}.toml`"
        assert f"| {label} | {conversion_row(row)} |" in text
    int8, small = rows["int8"], rows["small"]
    saved = {board: 1 - small["instructions"][board] / count for board, count in int8["instructions"].items()}
    flat = " ".join(text.split())
    assert f"{100 * saved['pi4']:.1f} % fewer instructions on a Pi 4's core and {100 * saved['pi5']:.1f} %" in flat
    assert saved["pi5"] >= 0.2
    assert small["macs"][1] <= 0.75 * int8["macs"][1]


def test_the_readme_says_what_one_look_and_tracking_cost() -> None:
    text = " ".join((REPOSITORY / "README.md").read_text().split())
    haar, jitter = (
        {entry["model"]: entry["sets"] for entry in results(f"accuracy_{crops}")}["keypoints-int8.tflite"]
        for crops in ("haar", "jitter")
    )
    one_look = {name: haar[name]["nme_percent"] - haar[name]["gt_nme_percent"] for name in ("afw", "ytf")}
    above = {
        name: min(f["tracked_nme_percent"] - f["gt_nme_percent"] for f in (haar[name], jitter[name]))
        for name in ("afw", "ytf")
    }
    assert f"worse by {one_look['afw']:.1f} points on AFW and {one_look['ytf']:.1f} on YouTube Faces" in text
    assert f"still {above['afw']:.1f} and {above['ytf']:.1f} above the labels' crops" in text


def test_the_size_of_the_shipped_file_and_its_reach_are_said() -> None:
    text = (REPOSITORY / "README.md").read_text()
    model = open_model(shipped_model())
    points = min(model._interpreter.get_output_details(), key=lambda output: -output["shape"][-1])
    scale, zero = points["quantization"]
    assert f"file has {shipped_model().stat().st_size / 1e6:.2f} MB" in text
    assert f"({scale * min(127 - zero, 128 + zero):.2f} of the crop's side)" in text


def condition_row(title: str, name: str, unit: str, row: dict[str, Any]) -> str:
    ends = row["from"], row["to"]
    where = f"below {ends[1]:g}" if ends[0] is None else f"{ends[0]:g} to {ends[1]}" if ends[1] else f"{ends[0]:g}"
    said = f"{name} {where}{unit}{'' if ends[1] else ' and more'}"
    interval = "{:.2f} .. {:.2f}".format(*row["nme_interval_percent"])
    figures = f"{row['nme_percent']:.2f} % | {interval} | {row['failures_percent']:.1f} %"
    return f"| {title} | {said} | {row['faces']} | {figures} |"


@pytest.mark.parametrize(("key", "title"), [("test/afw", "AFW"), ("test/ytf", "YouTube Faces")])
def test_the_model_card_says_what_the_conditions_cost(key: str, title: str) -> None:
    lines = (REPOSITORY / "docs/model-card.md").read_text().splitlines()
    measured = results("conditions")["sets"][key]
    for kind, name, unit in (("yaw_degrees", "yaw", " degrees"), ("sharpness", "sharpness", "")):
        rows = [condition_row(title, name, unit, row) for row in measured[kind]]
        assert [row for row in rows if row not in lines] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_the_model_card_says_how_large_the_files_are(name: str) -> None:
    flatbuffer = read_model_file(shipped_model(name)).flatbuffer
    assert f"{len(flatbuffer) / 1000:.0f} kB" in (REPOSITORY / "docs/model-card.md").read_text()


def test_figures_of_the_scan_come_from_the_results() -> None:
    text, scan = (REPOSITORY / "convert/README.md").read_text(), results("scan")
    for point in scan["sweep"]:
        losses = " | ".join(f"{point[state]['loss_percent']:+.1f} %" for state in ("untuned", "tuned"))
        assert f"| {point['share']:.0%} | {point['macs'] / 1e6:.2f} M | {losses} |" in text
    assert f"The knee lies at {scan['knee']:.0%}".replace("%", " %") in text
    assert f"({scan['epochs']} epochs;" in text


def test_figures_of_zeroed_weights_come_from_the_results() -> None:
    flat = " ".join((REPOSITORY / "convert/README.md").read_text().split())
    int8, sparse = ({r["name"]: r for r in results("convert")["rows"]}[name] for name in ("int8", "sparse"))
    smaller = {
        precision: 1 - sparse["sizes"][precision]["gzip_bytes"] / size["gzip_bytes"]
        for precision, size in int8["sizes"].items()
    }
    said = " and ".join(f"{100 * smaller[precision]:.1f} % in {precision}" for precision in ("float16", "int8"))
    assert f"by {100 * smaller['float32']:.1f} % in float32, {said} (gzip)" in flat
    assert smaller["float32"] >= 0.35
    assert sparse["val"]["interval_percent"][1] <= 2


@pytest.mark.parametrize("name", SHIPPED)
def test_results_are_of_the_files_that_ship(name: str) -> None:
    sha = open_model(shipped_model(name)).file.sha256
    files = ["accuracy68"] if "68" in name else [f"accuracy_{crops}" for crops in ("gt", "haar", "jitter")]
    entries = [entry for file in files for entry in results(file)]
    assert {entry["sha256"] for entry in entries if entry["model"] == f"{name}.tflite"} == {sha}


@pytest.mark.parametrize("name", ["conditions", "crossing", "engine_arm64", "pose", "scenes", "stills"])
def test_other_results_are_of_the_file_that_ships(name: str) -> None:
    assert results(name)["model_sha256"] == open_model(shipped_model()).file.sha256


@pytest.mark.parametrize("name", ["start", "growth", "limit"])
def test_the_performance_page_comes_from_the_results(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))  # as a program it finds performance_page.py beside it
    page = importlib.import_module(name).page(results(name))
    assert page.strip() in (REPOSITORY / "docs/performance.md").read_text()
    assert results(name)["model_sha256"] == open_model(shipped_model()).file.sha256


def test_instructions_on_the_performance_page_come_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    page = importlib.import_module("bench_arm64").page(results("instructions"), results("engine_arm64"))
    assert page.strip() in (REPOSITORY / "docs/performance.md").read_text()


def test_start_memory_and_age_are_as_demanded() -> None:
    start = results("start")
    assert len(start["runs"]) == 5
    load, cores = (start["machine"][name] for name in ("load_1_min", "cores"))
    if load > cores / 2:
        pytest.skip(
            f"start.json was measured beside {load} other programs on {cores} cores; make it anew on a quiet one"
        )
    assert all(start["best"][name] <= allowed for name, allowed in start["allowed"].items())


def test_the_acceptance_figures_hold() -> None:
    assert results("scenes")["people_left_out"]["score_auc"] >= 0.995
    assert results("scenes")["people_left_out"]["found_percent"] >= 90
    assert results("scenes")["people_left_out"]["false_faces_per_photograph"] <= 0.05


def test_every_command_and_option_in_the_table_exists() -> None:
    rows = re.findall(r"^\| `fkp-edge ((?:data|model) \w+|\w+)([^`]*)`", README, re.MULTILINE)
    parsers = dict(next(a for a in build_parser()._actions if a.dest == "command").choices)
    for group in ("data", "model"):
        actions = next(a for a in parsers.pop(group)._actions if a.dest == "action").choices
        parsers |= {f"{group} {action}": parser for action, parser in actions.items()}
    assert {command for command, _ in rows} == set(parsers)
    for command, rest in rows:
        options = parsers[command]._option_string_actions
        assert set(re.findall(r"--[a-z-]+", rest)) <= set(options), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """What the forge calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(((?!http)[^)#]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_the_index_has_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (REPOSITORY / "docs/README.md").read_text()))
    assert linked == {page.name for page in REPOSITORY.glob("docs/*.md")} - {"README.md"}


def test_the_python_example_reads_the_stream(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    run = [sys.executable, "-m", "fkp_edge", "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0"]
    with subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        url = next(m[1] for line in process.stderr if (m := re.search(r"streaming on (\S+);", line)))
        code = example.replace("tcp://127.0.0.1:8765", url)
        reader = [sys.executable, "-u", "-c", code]
        with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True) as program:
            lines = [program.stdout.readline() for _ in range(3)]
            program.kill()
        process.terminate()
    assert all(re.fullmatch(r"1 \(\d+\.\d+, \d+\.\d+\)\n", line) for line in lines), lines


def test_figures_of_the_boards_come_from_the_results() -> None:
    text = " ".join((REPOSITORY / "docs/boards.md").read_text().split())
    counted = {
        entry["model"].removesuffix("-int8.tflite"): entry["instructions"]
        for entry in results("instructions")["models"]
    }
    frames = {row["machine"]: row["instructions"] for row in results("engine_arm64")["rows"]}
    pi4, pi5 = frames["pi4 bookworm"], frames["pi5 bookworm"]
    int8 = "keypoints-int8"
    named = {"15 points": "keypoints", "68 points": "keypoints68"}
    named["15 points, `keypoints-small-int8`"] = "keypoints-small"
    for words, model in named.items():
        row = [f"{counted[model][board] / 1e6:.2f}" for board in ("pi4", "pi5")]
        assert f"| one inference, int8, {words} | {' | '.join(row)} |" in text
    assert f"all of it | {pi4['tracked_frame'][int8] / 1e6:.2f} | {pi5['tracked_frame'][int8] / 1e6:.2f} |" in text
    few, many = ([board["tracked_frame"][model] for board in (pi4, pi5)] for model in (int8, "keypoints68-int8"))
    assert f"| the same, 68 points | {many[0] / 1e6:.2f} | {many[1] / 1e6:.2f} |" in text
    more = [f"{100 * (m / f - 1):.0f} %" for m, f in zip(many, few, strict=True)]
    assert f"a whole tracked frame takes {more[0]} more on a Pi 4 and {more[1]} more on a Pi 5" in text
    assert f"| a search of a 640x480 frame | {pi4['search'] / 1e6:.0f} | {pi5['search'] / 1e6:.0f} |" in text
    searches = [frames[f"{board} bookworm"]["search"] / counted["keypoints"][board] for board in ("pi4", "pi5")]
    assert f"what {searches[0]:.0f} inferences cost on a Pi 4, and {searches[1]:.0f} on a Pi 5" in text
    assert f"took {results('soak')['memory']['end_mb']:.0f} MB on x86-64" in text
    assert f"environment has {results('install')['environment_mb']} MB" in text


def test_figures_of_the_tutorial_come_from_the_results() -> None:
    text = " ".join((REPOSITORY / "docs/tutorial.md").read_text().split())
    row = next(row for row in results("published")["rows"] if row["recipe"] == "keypointnet")
    assert f"`epochs = {row['epochs']}` below `[fit]` took {row['minutes']:.0f} minutes" in text
    assert f"gave {row['int8']['rmse_px']:.2f} px of error" in text
