"""Instructions of an inference, a tracked frame and a search on a Pi 4's and a Pi 5's core, beside the committed ones.

Usage: python benchmarks/bench_arm64.py ROOTS [--update]     (`make bench-arm64`; six minutes)

Every shipped network and, to see them against another's, MediaPipe's landmark network. Ends with 1 where something
takes more than TOLERANCE_PERCENT more than results/instructions.json and results/engine_arm64.json say, with 2 where it
cannot be counted; `--update` writes those two anew, in nine minutes. Instructions are not time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import engine_arm64
import instructions
from emulated_pi import BOARDS, HERE, USERLANDS
from mediapipe_network import MODEL, fetch_network, network_record
from performance_page import PAGE, fill, table

from fkp_edge.model.deployment import INSTRUCTIONS as CATALOGUE
from fkp_edge.model.shipped import shipped_model

INSTRUCTIONS, ENGINE = (HERE / "results" / name for name in ("instructions.json", "engine_arm64.json"))
TOLERANCE_PERCENT = 0.5
"""The same libraries repeat to 0.1 %, in ROOTS built anew as well."""

Costs = dict[tuple[str, str], int]
"""(what, board and userland) -> instructions."""
Versions = Mapping[str, Mapping[str, str]]
"""Userland -> library -> its version."""


@dataclass(frozen=True)
class Change:
    """What something costs now and in the reference, as a line of the table."""

    what: str
    machine: str
    reference: int | None
    """Instructions; None where the reference does not have it."""
    now: int | None
    """Instructions; None where it is in the reference alone."""

    @property
    def percent(self) -> float | None:
        """More than in the reference; None without one of the two."""
        return None if self.reference is None or self.now is None else 100 * (self.now / self.reference - 1)

    def __str__(self) -> str:
        counts = "".join(f"{'none' if n is None else f'{n:,}':>13}" for n in (self.reference, self.now))
        change = "" if self.percent is None else f"{self.percent:>+9.2f} %"
        return f"{self.what:<45}{self.machine:<15}{counts}{change}"


def inference_costs(models: Sequence[Mapping[str, Any]]) -> Costs:
    """From what instructions.json has, which is bookworm's: trixie's LiteRT executes the same, to 0.05 %."""
    return {
        (f"inference {entry['model']}", f"{board} {userland}"): count
        for userland, entry in product(USERLANDS, models)
        for board, count in entry["instructions"].items()
    }


def engine_costs(rows: Sequence[Mapping[str, Any]]) -> Costs:
    """From what engine_arm64.json has."""
    found = {}
    for row in rows:
        for model, count in row["instructions"]["tracked_frame"].items():
            found[f"tracked frame {model}", row["machine"]] = count
        found["search", row["machine"]] = row["instructions"]["search"]
    return found


def compare(reference: Costs, now: Costs) -> list[Change]:
    """A change each; what is in one of them alone stands at the end."""
    keys = sorted(reference.keys() | now.keys(), key=lambda key: (key not in now, key not in reference, key))
    return [Change(*key, reference.get(key), now.get(key)) for key in keys]


def verdict(changes: Sequence[Change]) -> list[str]:
    """A line for each cost that grew beyond the tolerance; empty where none did."""
    grown = [change for change in changes if change.percent is not None and change.percent > TOLERANCE_PERCENT]
    return [
        f"{change.what} on {change.machine} takes {change.percent:.2f} % more instructions than the reference, "
        f"{TOLERANCE_PERCENT} % allowed"
        for change in grown
    ]


def other_versions(reference: Versions, now: Versions) -> list[str]:
    """A line for each library that is not the reference's."""
    return [
        f"{library} on {userland} is {now[userland][library]}, {version} in the reference: a change may be its"
        for userland in reference
        for library, version in reference[userland].items()
        if now[userland][library] != version
    ]


def out_of_date(changes: Sequence[Change]) -> list[str]:
    """What else the reference does not say of today."""
    less = any(change.percent is not None and change.percent < -TOLERANCE_PERCENT for change in changes)
    other = any(change.percent is None for change in changes)
    lines = ["some take less than in the reference"] * less + ["some are not in both"] * other
    return [f"{line}; make bench-arm64 ARGS=--update writes it anew" for line in lines]


def shipped_files() -> list[Path]:
    return sorted(shipped_model().parent.glob("keypoints*.tflite"))


def count_inferences(roots: Path, network: Path) -> Costs:
    """Whole networks only, each in both userlands."""
    files = [*shipped_files(), network]
    found = {}
    for userland, board in product(USERLANDS, BOARDS):
        print(f"inferences on {board} {userland}", file=sys.stderr, flush=True)
        for file, count in zip(files, instructions.count(roots, BOARDS[board], files, userland), strict=True):
            found[f"inference {file.name}", f"{board} {userland}"] = round(count)
    return found


def report(changes: Sequence[Change], reference: Versions, now: Versions) -> str:
    """The comparison, to be printed."""
    lines = [f"{'instructions':<45}{'machine':<15}{'reference':>13}{'now':>13}{'change':>11}", *map(str, changes)]
    for userland, libraries in now.items():
        lines.append(f"{userland}: " + ", ".join(f"{library} {version}" for library, version in libraries.items()))
    lines += [*other_versions(reference, now), *out_of_date(changes)]
    return "\n".join(
        [*lines, *(verdict(changes) or [f"none takes over {TOLERANCE_PERCENT} % more than the reference"])]
    )


def millions(count: float) -> str:
    return f"{count / 1e6:.2f}"


def page(inferences: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    """The reference for docs/performance.md."""
    counts = {entry["model"]: entry["instructions"] for entry in inferences["models"]}
    rows = [
        (entry["model"], millions(entry["multiply_accumulates"]), *map(millions, entry["instructions"].values()))
        for entry in inferences["models"]
    ]
    runtime = inferences["versions"]["bookworm"]["LiteRT"]
    ours, other = counts["keypoints-int8.tflite"], counts[MODEL]
    pi4, pi5 = (other[board] / ours[board] for board in BOARDS)
    machines = [row["machine"] for row in engine["rows"]]
    costs = engine_costs(engine["rows"])
    each = [
        (what, *(millions(costs[what, machine]) for machine in machines))
        for what in dict.fromkeys(what for what, _ in costs)
    ]
    return f"""
Millions of instructions of one inference, LiteRT {runtime} with XNNPACK, one thread:

{table(("network", "multiply-accumulates, millions", "Pi 4", "Pi 5"), rows)}

MediaPipe's takes {pi4:.1f} times the instructions of `keypoints-int8` on a Pi 4's core and {pi5:.1f} times on a Pi 5's.
It does another job: 468 points from 192x192 pixels in colour, its weights kept as float16 and computed in float32.

Millions of instructions of the whole engine, 640x480, for a frame in which a face is tracked, and for a search:

{table(("", *machines), each)}
"""


def update(roots: Path, network: Path) -> None:
    """Writes the reference, and its page."""
    record = instructions.measure(roots, shipped_files())
    counts = {name: round(instructions.count(roots, board, [network])[0]) for name, board in BOARDS.items()}
    record["models"].append(network_record(network) | {"instructions": counts})
    INSTRUCTIONS.write_text(json.dumps(record, indent=1) + "\n")
    shipped = {
        each["sha256"]: each["instructions"] for each in record["models"] if each["model"].startswith("keypoints")
    }
    CATALOGUE.write_text(json.dumps(shipped, indent=1) + "\n")
    engine_arm64.main(roots, ENGINE)
    PAGE.write_text(fill(PAGE.read_text(), "arm64", page(record, json.loads(ENGINE.read_text()))))


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 where something costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", type=Path, help="what arm64/roots.sh built")
    parser.add_argument("--update", action="store_true", help="write the committed reference anew")
    args = parser.parse_args(argv)
    network = fetch_network(args.roots)
    if args.update:
        update(args.roots, network)
        return 0
    inferences, engine = (json.loads(path.read_text()) for path in (INSTRUCTIONS, ENGINE))
    now = engine_arm64.measure(args.roots)
    counted = count_inferences(args.roots, network) | engine_costs(now["rows"])
    reference = inference_costs(inferences["models"]) | engine_costs(engine["rows"])
    changes = compare(reference, counted)
    print(report(changes, inferences["versions"] | engine["versions"], now["versions"]))
    return 1 if verdict(changes) else 0


if __name__ == "__main__":
    sys.exit(main())
