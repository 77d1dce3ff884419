"""Mutates given modules, one small change at a time, and prints the changes that their tests do not notice.

    python tests/mutants.py [--count 20] [--seed 1] [--timeout 120] [MODULE ...]

A module is named by its path; without one, sixteen modules of the device and the stream that run unattended are taken,
each with the tests in `TESTS`. A mutant is a comparison turned round, a sum made a difference, `and` made `or`, a
number moved, a condition negated, a call dropped or a `return` emptied. Libraries for this (mutmut, cosmic-ray) mutate
all there is; a sample by seed takes minutes, and the same seed gives the same mutants. The package is copied into a
folder of its own, so that a run can be stopped at any time. Ends with 1 where fewer than `--kill` percent die.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DEVICE, STREAM = "tests/device", "tests/stream"
TESTS = {
    "fkp_edge/device/tracking/engine.py": f"{DEVICE}/tracking",
    "fkp_edge/device/tracking/tracker.py": f"{DEVICE}/tracking",
    "fkp_edge/device/tracking/refinement.py": f"{DEVICE}/tracking",
    "fkp_edge/device/tracking/smoothing.py": f"{DEVICE}/tracking/test_smoothing.py",
    "fkp_edge/device/tracking/pose.py": f"{DEVICE}/tracking/test_pose.py",
    "fkp_edge/device/detection/search.py": f"{DEVICE}/detection",
    "fkp_edge/device/detection/proposals.py": f"{DEVICE}/detection",
    "fkp_edge/device/frame_filter.py": f"{DEVICE}/test_runtime.py {DEVICE}/test_faults.py",
    "fkp_edge/device/runtime.py": f"{DEVICE}/test_runtime.py {DEVICE}/test_faults.py",
    "fkp_edge/stream/protocol/datagrams.py": f"{STREAM}/protocol/test_datagrams.py",
    "fkp_edge/stream/protocol/lines.py": f"{STREAM}/protocol/test_lines.py",
    "fkp_edge/stream/protocol/address.py": f"{STREAM}/protocol/test_address.py",
    "fkp_edge/stream/server/access.py": f"{STREAM}/server/test_access.py",
    "fkp_edge/stream/server/base.py": f"{STREAM}/server/test_line_server.py {STREAM}/server/test_hostile.py",
    "fkp_edge/model/deployment.py": "tests/model/test_deployment.py",
    "fkp_edge/evaluation/metrics.py": "tests/evaluation/test_metrics.py",
}
COMPARISONS = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATIONS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Every mutant of `tree`: the line, what was changed, and the changed tree."""
    for number, node in enumerate(ast.walk(tree)):
        for what in _changes(node):
            changed = copy.deepcopy(tree)
            twin = next(other for place, other in enumerate(ast.walk(changed)) if place == number)
            _apply(twin, what)
            yield getattr(node, "lineno", 0), what, changed


def _changes(node: ast.AST) -> list[str]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            return ["comparison"]
        case ast.BinOp(op=op) if type(op) in OPERATIONS:
            return ["operation"]
        case ast.BoolOp():
            return ["and/or"]
        case ast.Constant(value=bool()):
            return ["truth"]
        case ast.Constant(value=int() | float()):
            return ["number"]
        case ast.If() | ast.While() | ast.IfExp():
            return ["condition"]
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            return ["return"]
        case ast.Expr(value=ast.Call()):
            return ["call"]
    return []


def _apply(node: ast.AST, what: str) -> None:
    match node:
        case ast.Compare():
            node.ops = [COMPARISONS[type(node.ops[0])]()]
        case ast.BinOp():
            node.op = OPERATIONS[type(node.op)]()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant():
            node.value = node.value * 2 + 1
        case ast.If() | ast.While() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return():
            node.value = ast.Constant(None)
        case ast.Expr():
            node.value = ast.Constant(None)
    ast.fix_missing_locations(node)


def survives(copied: Path, module: str, source: str, tests: str, timeout_s: float) -> bool:
    """Whether the tests pass with `source` in place of `module`."""
    (copied / module).write_text(source)
    command = [sys.executable, "-m", "pytest", "-x", "-q", *tests.split()]
    environment = os.environ | {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copied, env=environment, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    """Mutates and prints; the exit code."""
    parser = argparse.ArgumentParser(description="prints the mutants that the tests do not notice")
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--count", type=int, default=20, help="mutants of each module (default: 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one run of a module's tests")
    parser.add_argument("--kill", type=float, default=92, help="percent that must die (default: 92)")
    parser.add_argument("--tests", help="of the one module that is named, where it is not in the list")
    args = parser.parse_args()
    died = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "copy"
        ignore = shutil.ignore_patterns(".*", "__pycache__", "runs", "results")
        shutil.copytree(REPOSITORY, copied, ignore=ignore)
        for module in args.modules:
            original = (REPOSITORY / module).read_text()
            tests = args.tests or TESTS[module]
            if not survives(copied, module, original, tests, args.timeout):
                print(f"{module}: its tests fail as it is; run them first")
                return 2
            every = list(mutants(ast.parse(original)))
            chosen = random.Random(f"{args.seed} {module}").sample(every, min(args.count, len(every)))
            alive = 0
            for line, what, changed in chosen:
                if survives(copied, module, ast.unparse(changed), tests, args.timeout):
                    alive += 1
                    print(f"  {module}:{line}: {what}: {original.splitlines()[line - 1].strip()}", flush=True)
            (copied / module).write_text(original)
            died, total = died + len(chosen) - alive, total + len(chosen)
            print(f"{module}: {len(chosen) - alive} of {len(chosen)} died", flush=True)
    print(f"{died} of {total} died: {100 * died / max(total, 1):.1f} %")
    return int(100 * died < args.kill * total)


if __name__ == "__main__":
    sys.exit(main())
