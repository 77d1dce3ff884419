"""The tables and the picture that the pages show of ../results/peers.json.

Usage: python benchmarks/peers/page.py     (draws docs/peers.svg; `make docs` writes the tables)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
RESULT = REPOSITORY / "benchmarks/results/peers.json"
PICTURE = REPOSITORY / "docs/peers.svg"
SETS = {"test/afw": "AFW", "test/ytf": "YouTube Faces", "test/scenes": "whole photographs"}
GROUPS = {"demo": "the demo", "clips": "the clips"}
SHORT = {"int8": "int8", "float32": "float32", "mediapipe": "mediapipe_settled", "dlib": "dlib", "haar": "haar"}
"""Systems of the short table and the picture, and whose error stands beside each one's time: of a face that is tracked,
MediaPipe has had more than one look."""
Record = Mapping[str, Any]


def table(record: Record) -> str:
    """The short table: a row a system."""
    faces = record["accuracy"]["own_detector"]["test/afw"]["faces"]
    lines = [
        f"| system | CPU ms a frame | times ours | of {faces} | NME | without habit | ours there | without habit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {record['peers'][name]} | {_short_cells(record, name)} |" for name in SHORT]
    return "\n".join(lines)


def _short_cells(record: Record, name: str) -> str:
    speed = record["speed"]["groups"]["demo"]["peers"][name]
    row = record["accuracy"]["own_detector"]["test/afw"]["peers"][SHORT[name]]
    pairs = [row["beside_base"][kind] for kind in ("as_they_are", "both_without_habit")]
    cells = [f"{speed['cpu_ms']:.2f}", f"{speed['cpu_ratio']['median']:.1f}", f"{row['found']}"]
    cells += [f"{pair[f'{whose}_percent']:.2f} %" for whose in ("theirs", "ours") for pair in pairs]
    return " | ".join(cells)


def speed_table(record: Record) -> str:
    """Every time: wall and CPU, the demo and the clips."""
    lines = [
        "| frames | system | wall ms | times ours (rounds) | CPU ms | times ours (rounds) |",
        "|---|---|---|---|---|---|",
    ]
    for group, frames in GROUPS.items():
        for name, row in record["speed"]["groups"].get(group, {"peers": {}})["peers"].items():
            cells = " | ".join(f"{row[f'{c}_ms']:.2f} | {_ratio(row[f'{c}_ratio'])}" for c in ("wall", "cpu"))
            lines.append(f"| {frames} | {record['peers'][name]} | {cells} |")
    return "\n".join(lines)


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.1f} ({ratio['lowest']:.1f} to {ratio['highest']:.1f})"


def accuracy_table(record: Record) -> str:
    """Each system with its own detector, on the faces it found and on those all found."""
    lines = [
        "| set | system | found | false | NME [95 %] | failures | without its habit | where all found "
        "| there without its habit | CPU ms a picture |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in record["accuracy"]["own_detector"].items():
        for peer, row in entry["peers"].items():
            common = row["where_all_found"]
            cells = [f"{row['found']} of {entry['faces']}", str(row.get("false_faces", "")), *_error_cells(row)]
            cells += [f"{common[kind]['nme_percent']:.2f} %" for kind in ("raw", "without_habit")]
            lines.append(_line(SETS[name], record["peers"][peer], *cells, f"{row['cpu_ms_a_picture']:.1f}"))
    return "\n".join(lines)


def box_table(record: Record) -> str:
    """Each network or predictor in the labelled face's box."""
    lines = ["| set | system | faces | NME [95 %] | failures | without its habit |", "|---|---|---|---|---|---|"]
    for name, entry in record["accuracy"]["given_boxes"].items():
        for peer, row in entry["peers"].items():
            title = record["peers"].get(f"{peer}_predictor", record["peers"][peer])
            lines.append(_line(SETS[name], title, f"{row['found']}", *_error_cells(row)))
    return "\n".join(lines)


def _error_cells(row: Mapping[str, Any]) -> list[str]:
    raw, freed = row["raw"], row["without_habit"]
    low, high = raw["nme_interval_percent"]
    nme = f"{raw['nme_percent']:.2f} % [{low:.2f}, {high:.2f}]"
    return [nme, f"{raw['failures_percent']:.1f} %", f"{freed['nme_percent']:.2f} %"]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def points(record: Record) -> dict[str, tuple[float, float, float]]:
    """Of each system: CPU ms a tracked frame, NME on AFW as it is and without its habit, on the faces all found."""
    times = record["speed"]["groups"]["demo"]["peers"]
    rows = record["accuracy"]["own_detector"]["test/afw"]["peers"]
    found = {}
    for name, shown in SHORT.items():
        errors = rows[shown]["where_all_found"]
        pair = (errors[kind]["nme_percent"] for kind in ("raw", "without_habit"))
        found[record["peers"][name]] = (times[name]["cpu_ms"], *pair)
    return found


def caption(record: Record) -> str:
    """What the picture shows, in words: it stands in the file, too, so that a test can tell a picture that is old."""
    return "; ".join(
        f"{name}: {ms:.2f} ms, {raw:.2f} %, {freed:.2f} %" for name, (ms, raw, freed) in points(record).items()
    )


def draw(record: Record, path: Path) -> None:
    """Accuracy against time."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "peers", "svg.fonttype": "none", "font.size": 10}
    figure, axes = plt.subplots(figsize=(7.2, 4), layout="constrained")
    for index, (name, (ms, raw, freed)) in enumerate(points(record).items()):
        color = f"C{index}"
        axes.plot([ms, ms], [raw, freed], color=color, linewidth=1)
        axes.plot(ms, raw, "o", color=color, markerfacecolor="white")
        axes.plot(ms, freed, "o", color=color)
        above = name != record["peers"]["float32"]  # it is too near to int8 to have its name on the same side
        place, shift = ((ms, raw), 7) if above else ((ms, freed), -15)
        axes.annotate(name, place, (0, shift), textcoords="offset points", ha="center", color=color)
    axes.set_xscale("log")
    axes.set_xlim(0.2, 250)
    axes.set_xticks(ticks := (0.3, 1, 3, 10, 30, 100), [f"{tick:g}" for tick in ticks])
    axes.set_ylim(2, 5)
    axes.set_xlabel("CPU ms a tracked 640x480 frame")
    axes.set_ylabel("NME, %, on AFW's faces that all found")
    axes.set_title(
        "hollow: as it is; filled: without its constant offsets (dlib was trained on these photographs)", fontsize=9
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None, "Description": caption(record)})
    plt.close(figure)


def main() -> int:
    """Draws the picture."""
    draw(json.loads(RESULT.read_text()), PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
