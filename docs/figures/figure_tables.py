"""Tables of the pages, by name, from benchmarks/results/*.json: `<!-- table NAME -->` ... `<!-- end -->`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from figure_values import by_model, results
from option_tables import options

__all__ = ["tables"]

REPOSITORY = Path(__file__).resolve().parents[2]
SETS = {"afw": "AFW", "ytf": "YouTube Faces"}
CROPS = {"gt": "the labels'", "jitter": "as the tracker frames them", "haar": "Haar's box"}


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def accuracy() -> str:
    """The 15-point files on every kind of crop."""
    head = ["test set", "crops", "faces", "NME float32", "NME int8", "int8 failures", "tracked", "labels' crops"]
    rows = []
    for crops, words in CROPS.items():
        entries = by_model(f"accuracy_{crops}")
        for key, name in SETS.items():
            before, after = (entries[f"keypoints-{kind}"]["sets"][key] for kind in ("float32", "int8"))
            total = after["faces"] + after["missed"]
            figures = [row["nme_percent"] for row in (before, after)]
            labels = f"{after.get('gt_nme_percent', after['nme_percent']):.2f} %"
            rows.append([
                name, words, f"{after['faces']} of {total}" if after["missed"] else f"{total}",
                *(f"{figure:.2f} %" for figure in figures), f"{after['failures_percent']:.1f} %",
                f"{after['tracked_nme_percent']:.2f} %", labels,
            ])  # fmt: skip
    return markdown(head, rows)


def accuracy68() -> str:
    entries = by_model("accuracy68")
    rows = []
    for key, name in SETS.items():
        before, after = (entries[f"keypoints68-{kind}"]["sets"][key] for kind in ("float32", "int8"))
        nme = [f"{row['nme_percent']:.2f} %" for row in (before, after)]
        rows.append([name, f"{after['faces']}", *nme, f"{after['failures_percent']:.1f} %"])
    return markdown(["test set", "faces", "NME float32", "NME int8", "int8 failures"], rows)


def conditions() -> str:
    """Error by head yaw and image sharpness."""
    kinds = (("yaw_degrees", "yaw", " degrees"), ("sharpness", "sharpness", ""))
    sets = results("conditions")["sets"]
    rows = [
        condition(title, name, unit, row)
        for key, title in SETS.items()
        for kind, name, unit in kinds
        for row in sets[f"test/{key}"][kind]
    ]
    return markdown(["set", "condition", "faces", "NME", "interval", "failures"], rows)


def condition(title: str, name: str, unit: str, row: Mapping[str, Any]) -> list[str]:
    start, end = row["from"], row["to"]
    where = f"below {end:g}" if start is None else f"{start:g} to {end}" if end else f"{start:g}"
    low, high = row["nme_interval_percent"]
    said = f"{name} {where}{unit}{'' if end else ' and more'}"
    figures = [f"{row['nme_percent']:.2f} %", f"{low:.2f} .. {high:.2f}", f"{row['failures_percent']:.1f} %"]
    return [title, said, f"{row['faces']}", *figures]


def conversion_cells(row: Mapping[str, Any]) -> list[str]:
    size, (_, most) = row["sizes"]["int8"], row["val"]["interval_percent"]
    cells = [f"{row['macs'][1] / 1e6:.2f} M", f"{size['bytes'] / 1000:.0f} kB", f"{size['gzip_bytes'] / 1000:.0f} kB"]
    cells += [f"{row['val']['loss_percent']:+.2f} %", f"{most:+.2f} %"]
    return cells + [f"{loss['loss_percent']:+.2f} %" for loss in row["test"].values()]


def conversion() -> str:
    """What the recipes of convert/ cost the network that ships."""
    head = ["recipe", "multiply-accumulates", "int8 flatbuffer", "compressed", "val", "at most", *SETS.values()]
    rows = [
        [f"`{row['name']}.toml`", *conversion_cells(row)]
        for row in results("convert")["rows"]
        if "-" not in row["name"]
    ]
    return markdown(head, rows)


def conversion_published() -> str:
    head = ["network", "multiply-accumulates", "int8 flatbuffer", "compressed", "val", "at most", "test"]
    rows = [
        [f"`train/published/{row['name'].removeprefix('published-')}.toml`", *conversion_cells(row)]
        for row in results("convert")["rows"]
        if "-" in row["name"]
    ]
    return markdown(head, rows)


def scan() -> str:
    """How much of the network can go."""
    rows = [
        [f"{point['share']:.0%}", f"{point['macs'] / 1e6:.2f} M"]
        + [f"{point[state]['loss_percent']:+.1f} %" for state in ("untuned", "tuned")]
        for point in results("scan")["sweep"]
    ]
    return markdown(["filters gone", "multiply-accumulates", "loss not tuned", "tuned"], rows)


def faults() -> str:
    """How soon a face was tracked again after each fault."""
    rows = [
        [kind, f"{row['count']}", f"{row['median_s']:.2f}", f"{row['most_s']:.2f}"]
        for kind, row in results("soak_faults")["faults"].items()
    ]
    return markdown(["fault", "times", "a face tracked again after, median s", "longest s"], rows)


def boards() -> str:
    """Instructions on the emulated boards."""
    counted = by_model("instructions")
    frames = {row["machine"]: row["instructions"] for row in results("engine_arm64")["rows"]}
    machines = {"pi4": frames["pi4 bookworm"], "pi5": frames["pi5 bookworm"]}
    words = {
        "15 points": "keypoints",
        "15 points, `keypoints-small-int8`": "keypoints-small",
        "68 points": "keypoints68",
    }
    rows = [
        [
            f"one inference, int8, {said}",
            *(f"{counted[f'{model}-int8']['instructions'][b] / 1e6:.2f}" for b in machines),
        ]
        for said, model in words.items()
    ]
    for said, model in (("15 points", "keypoints"), ("68 points", "keypoints68")):
        counts = [machine["tracked_frame"][f"{model}-int8"] for machine in machines.values()]
        rows.append([f"a tracked 640x480 frame, all of it, {said}", *(f"{count / 1e6:.2f}" for count in counts)])
    rows.append(["a search of a 640x480 frame", *(f"{machine['search'] / 1e6:.0f}" for machine in machines.values())])
    return markdown(["millions of instructions", "Pi 4 (Cortex-A72)", "Pi 5 (Cortex-A76)"], rows)


def peers(name: str) -> str:
    """A table of benchmarks/peers/page.py."""
    path = REPOSITORY / "benchmarks/peers/page.py"
    spec = importlib.util.spec_from_file_location("peers_page", path)
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    return getattr(page, name)(results("peers"))


def peers_short() -> str:
    """Time and error of every system, for the first page."""
    record = results("peers")
    times = record["speed"]["groups"]["demo"]["peers"]
    errors = record["accuracy"]["own_detector"]["test/afw"]["peers"]
    shown = {name: name for name in ("int8", "float32", "mediapipe", "dlib", "haar")} | {
        "mediapipe": "mediapipe_settled"
    }
    rows = []
    for name, error in shown.items():
        nme = errors[error]["where_all_found"]["raw"]["nme_percent"]
        ratio = times[name]["cpu_ratio"]["median"]
        rows.append([record["peers"][name], f"{times[name]['cpu_ms']:.2f} ms", f"{ratio:.1f}", f"{nme:.2f} %"])
    return markdown(["system", "CPU time per frame", "times ours", "NME"], rows)


def groups() -> str:
    """The int8 network by groups of people: bold is what is behind, an arrow ends the largest gap."""
    entry = by_model("groups")["keypoints-int8"]
    rows = [group("all", entry["all"], {})]
    for attribute, members in entry["groups"].items():
        rows += [group(name, row, entry["gaps"][attribute]) for name, row in members.items()]
    return markdown(["who", "pictures", "found", "interval", "score", "interval", "jitter", "interval"], rows)


def group(name: str, row: Mapping[str, Any], gaps: Mapping[str, Any]) -> list[str]:
    cells = [name, f"{row['pictures']}"]
    for key, value, digits in (("found", "found_percent", 1), ("score", "score", 3), ("jitter", "jitter_percent", 2)):
        unit = "" if value == "score" else " %"
        said = f"{row[value]:.{digits}f}{unit}"
        said = f"**{said}**" if key in row.get("behind", ()) else said
        gap = gaps.get(key, {})
        marked = gap.get("worst") == name and gap.get("gap_points", gap.get("gap_percent"))
        cells.append(f"{said} ←" if marked else said)
        cells.append(" .. ".join(f"{bound:.{digits}f}" for bound in row[f"{key}_interval"]))
    return cells


def labels() -> str:
    """How good the labels of each teacher are."""
    head = ["teacher", "faces", "NME of 15 points", "of 68", "disagreement and error", "left out at 0.05", "their NME"]
    rows = []
    for row in results("labels").values():
        (sure,) = (one for one in row["by_sure"] if one["sure"] == 0.05)
        left = sure["left_out_nme68_percent"]
        rows.append([
            f"`{row['teacher'].split()[0]}`", f"{row['marked']} of {row['faces']}", f"{row['nme15_percent']:.2f} %",
            f"{row['nme68_percent']:.2f} %", f"correlate by {row['correlation']:.2f}",
            f"{row['marked'] - sure['kept']}", "" if left is None else f"{left:.1f} %",
        ])  # fmt: skip
    return markdown(head, rows)


TABLES = {
    "accuracy": accuracy,
    "accuracy68": accuracy68,
    "boards": boards,
    "conditions": conditions,
    "conversion": conversion,
    "conversion_published": conversion_published,
    "faults": faults,
    "groups": groups,
    "labels": labels,
    "options": options,
    "peers": partial(peers, "table"),
    "peers_accuracy": partial(peers, "accuracy_table"),
    "peers_boxes": partial(peers, "box_table"),
    "peers_short": peers_short,
    "peers_speed": partial(peers, "speed_table"),
    "scan": scan,
}


def tables() -> dict[str, str]:
    """Every table by its name."""
    return {name: table() for name, table in TABLES.items()}
