"""Cost of the points of a sweep in instructions on a Pi 4 core and on a Pi 5 core, before or after they are trained.

Usage: python benchmarks/sweep_cost.py ROOTS RECIPE.toml SWEEP.toml [RUNS]

ROOTS as arm64/README.md says; RECIPE and SWEEP as `fkp-edge train RECIPE --sweep SWEEP` takes them; RUNS is what that
left, and gives the validation error of the points that have it. Seconds a point: each distinct network is built with
random weights and quantised on noise, since int8 takes the same instructions whatever its weights are.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from emulated_pi import BOARDS
from instructions import count, read_operators

from fkp_edge.convert.load import Network
from fkp_edge.convert.quantize import to_int8
from fkp_edge.core.keypoints import schema_named
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Recipe
from fkp_edge.train.sweep import RESULTS, SweepLine, read_points

NOISE_CROPS = 4

Count = Callable[[Sequence[Path]], dict[str, list[float]]]
"""Files -> core -> instructions of one inference of each."""


@dataclass(frozen=True)
class Cost:
    """Of one point."""

    point: str
    parameters: int
    multiply_accumulates: int
    instructions: dict[str, float]
    """Core -> of one inference."""
    nme_percent: float | None
    """Mean over the validation sets; None where it was not trained."""

    def __str__(self) -> str:
        cores = ", ".join(f"{name} {each / 1e6:.2f} M" for name, each in self.instructions.items())
        error = f"NME {self.nme_percent:.2f} %" if self.nme_percent is not None else "not trained"
        macs = self.multiply_accumulates / 1e6
        return f"{self.point}: {cores} instructions, {macs:.1f} M MACs, {self.parameters:,} parameters, {error}"


def int8_of(recipe: Recipe) -> tuple[bytes, int]:
    """The int8 flatbuffer of an untrained network of `recipe`, and its parameters."""
    schema = schema_named(recipe.schema)
    model = build_keypointnet(recipe.network, schema.size)
    described = {"schema": recipe.schema, "mean_shape": schema.mean_shape.tolist(), "parameters": model.count_params()}
    noise = np.random.default_rng(0).integers(0, 256, (NOISE_CROPS, 96, 96), np.uint8)
    return to_int8(Network(Path(recipe.name), described, model), noise), int(model.count_params())


def costs(points: dict[str, Recipe], counted: Count, trained: dict[str, float]) -> list[Cost]:
    """The points' costs, the cheapest on the first core first; networks that several points share are counted once."""
    networks = {(recipe.network, recipe.schema): recipe for recipe in points.values()}
    made = {key: int8_of(recipe) for key, recipe in networks.items()}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.tflite" for number in range(len(made))]
        for file, (flatbuffer, _) in zip(files, made.values(), strict=True):
            file.write_bytes(flatbuffer)
        counts = counted(files)
    of = {key: {core: each[number] for core, each in counts.items()} for number, key in enumerate(made)}
    found = []
    for name, recipe in points.items():
        flatbuffer, parameters = made[recipe.network, recipe.schema]
        macs = sum(operator.multiply_accumulates for operator in read_operators(flatbuffer))
        found.append(Cost(name, parameters, macs, of[recipe.network, recipe.schema], trained.get(name)))
    return sorted(found, key=lambda cost: next(iter(cost.instructions.values())))


def trained_points(runs: Path) -> dict[str, float]:
    """Point -> mean NME in percent, of what a sweep left in `runs`."""
    lines = [msgspec.json.decode(line, type=SweepLine) for line in (runs / RESULTS).read_bytes().splitlines()]
    return {line.point: line.mean_nme_percent for line in lines}


def main(roots: Path, recipe: Path, sweep: Path, runs: Path | None = None) -> None:
    def counted(files: Sequence[Path]) -> dict[str, list[float]]:
        return {name: count(roots, board, files) for name, board in BOARDS.items()}

    for cost in costs(read_points(recipe, sweep), counted, trained_points(runs) if runs else {}):
        print(cost)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
