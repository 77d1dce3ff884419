"""Mutates given modules, one small change at a time, and prints the changes that their tests do not notice.

    python tests/mutants.py [--count 20] [--seed 1] [--timeout 120] [--out RESULTS.json] [MODULE ...]

A module is named by its path; without one, the modules of the device and the stream that run unattended are taken, each
with the tests in `TESTS`. A mutant is a comparison turned round, a sum made a difference, `and` made `or`, a number
moved, a condition negated, a call dropped or a `return` emptied. Libraries for this (mutmut, cosmic-ray) mutate all
there is; a sample by seed takes minutes, and the same seed gives the same mutants. The package is copied into a folder
of its own, so that a run can be stopped at any time. Tests run in a fork that has the heavy libraries already, so that
a mutant costs what its tests cost. Ends with 1 where fewer than `--kill` percent die.

`--out` writes what was found and goes on with what is there: what a person wrote beside a survivor stays, and so do the
modules that are not named. A survivor of which `equivalent` is set to true there does what the module did, whatever its
input: it is counted apart.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
DEVICE, STREAM = "tests/device", "tests/stream"
MOTION = f"{DEVICE}/detection/test_pace.py {DEVICE}/detection/test_motion.py"
SEARCH = f"{DEVICE}/detection/test_search.py -k not(abort)"  # that one takes a process of its own and 14 seconds
TESTS = {
    "fkp_edge/device/tracking/engine.py": f"{DEVICE}/tracking/test_engine_states.py {DEVICE}/tracking/test_engine.py",
    "fkp_edge/device/tracking/tracker.py": f"{DEVICE}/tracking/test_tracker.py {DEVICE}/tracking/test_refinement.py",
    "fkp_edge/device/tracking/smoothing.py": f"{DEVICE}/tracking/test_smoothing.py",
    "fkp_edge/device/tracking/pose.py": f"{DEVICE}/tracking/test_pose.py {DEVICE}/tracking/test_measuring.py",
    "fkp_edge/device/detection/search.py": f"{DEVICE}/detection -k not(abort)",
    "fkp_edge/device/detection/threaded.py": f"{MOTION} {SEARCH}",
    "fkp_edge/device/detection/proposals.py": f"{DEVICE}/detection/test_proposals.py",
    "fkp_edge/device/capture.py": f"{DEVICE}/test_frame_filter.py {DEVICE}/test_runtime.py",
    "fkp_edge/device/runtime.py": f"{DEVICE}/test_runtime.py {DEVICE}/test_faults.py",
    "fkp_edge/stream/protocol/datagrams.py": f"{STREAM}/protocol/test_datagrams.py {STREAM}/protocol/test_lines.py",
    "fkp_edge/stream/protocol/address.py": f"{STREAM}/protocol/test_address.py",
    "fkp_edge/stream/server/access.py": f"{STREAM}/server/test_access.py {STREAM}/web/test_tls.py",
    "fkp_edge/stream/server/base.py": f"{STREAM}/server/test_base.py {STREAM}/server/test_line_server.py",
    "fkp_edge/model/deployment.py": "tests/model/test_deployment.py",
    "fkp_edge/evaluation/metrics.py": "tests/evaluation/test_metrics.py",
}
PRELOADED = ("numpy", "cv2", "msgspec", "hypothesis", "hypothesis.strategies", "pytest", "flatbuffers")
"""Not `fkp_edge`, which changes; nor what starts threads that a fork would lose."""
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


def sites(tree: ast.Module) -> list[tuple[int, str]]:
    """Every mutant of `tree`: the number of its node and what is changed there."""
    return [(number, what) for number, node in enumerate(ast.walk(tree)) for what in _changes(node)]


def mutate(tree: ast.Module, number: int, what: str) -> tuple[int, str, str]:
    """The line that is changed, how, and the changed source."""
    changed = copy.deepcopy(tree)
    node = next(node for place, node in enumerate(ast.walk(changed)) if place == number)
    before = _shown(node)
    _apply(node, what)
    return getattr(node, "lineno", 0), f"{what}: {before} -> {_shown(node)}", ast.unparse(changed)


def _shown(node: ast.AST) -> str:
    shown = getattr(node, "test", node) if isinstance(node, ast.If | ast.While) else node
    return " ".join(ast.unparse(shown).split())[:100]


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


class Copy:
    """The repository in a folder of its own, in which one module at a time is another."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._root = folder / "copy"
        self._timeout_s = timeout_s
        self._written = 0
        ignore = shutil.ignore_patterns(".*", "__pycache__", "runs", "results")
        shutil.copytree(REPOSITORY, self._root, ignore=ignore)

    def outcome(self, module: str, source: str, tests: str, *, keep_bytecode: bool = False) -> str:
        """`alive` where the tests pass with `source` in place of `module`, else how they ended."""
        place = self._root / module
        place.write_text(source)
        self._written += 1
        os.utime(place, (self._written, self._written))  # what was compiled of it before never counts
        child = multiprocessing.get_context("fork").Process(target=self._run, args=(tests, keep_bytecode))
        child.start()
        child.join(self._timeout_s)
        if child.is_alive():
            child.kill()
            child.join()
            return "timeout"
        return "alive" if child.exitcode == 0 else "dead"

    def _run(self, tests: str, keep_bytecode: bool) -> None:
        import pytest

        with Path(os.devnull).open("r+b") as nothing:
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        os.chdir(self._root)
        sys.dont_write_bytecode = not keep_bytecode
        sys.path.insert(0, str(self._root))
        os.environ |= {"PYTHONPATH": str(self._root), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = pytest.main(["-x", "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests.split()])
        os._exit(int(ended))  # a thread that a mutant left must not hold it up


def measure(
    place: Copy, module: str, tests: str, count: int, seed: int, again: set[tuple[str, str]] | None
) -> dict[str, Any]:
    """What became of `count` mutants of `module`; only those are tried that are in `again`, where it is given.

    Raises:
        SystemExit: its tests fail as it is.
    """
    original = (REPOSITORY / module).read_text()
    if place.outcome(module, original, tests, keep_bytecode=True) != "alive":
        raise SystemExit(f"{module}: its tests fail as it is; run them first")
    tree = ast.parse(original)
    every = sites(tree)
    outcomes, survivors, late = [], [], []
    for site in random.Random(f"{seed} {module}").sample(every, min(count, len(every))):
        line, change, source = mutate(tree, *site)
        found = {"line": line, "source": original.splitlines()[line - 1].strip(), "change": change}
        is_tried = again is None or (found["source"], change) in again
        outcomes.append(place.outcome(module, source, tests) if is_tried else "dead")
        if outcomes[-1] != "dead":
            (survivors if outcomes[-1] == "alive" else late).append(found)
            print(f"  {module}:{line}: {outcomes[-1]}: {change}", flush=True)
    place.outcome(module, original, "--version")
    died = len(outcomes) - len(survivors)
    print(f"{module}: {died} of {len(outcomes)} died", flush=True)
    return {"died": died, "mutants": len(outcomes), "tests": tests, "timeouts": late, "survivors": survivors}


def survived(file: Path, module: str) -> set[tuple[str, str]]:
    """What survived in `module` when `file` was written."""
    survivors = json.loads(file.read_text())["modules"][module]["survivors"]
    return {(survivor["source"], survivor["change"]) for survivor in survivors}


def merge(file: Path, found: dict[str, Any], settings: dict[str, Any]) -> None:
    """Writes the modules that were `found` beside those that `file` holds; a survivor keeps its reason."""
    before = json.loads(file.read_text()) if file.exists() else settings | {"modules": {}}
    if {key: before[key] for key in settings} != settings:
        raise SystemExit(f"{file} is of { ({key: before[key] for key in settings}) }; expected {settings}")
    modules = before["modules"]
    for module, result in found.items():
        said = {(s["source"], s["change"]): s for s in modules.get(module, {}).get("survivors", [])}
        for survivor in result["survivors"]:
            survivor.setdefault("reason", "")
            survivor |= said.get((survivor["source"], survivor["change"]), {}) | {"line": survivor["line"]}
        modules[module] = result
    modules = {module: modules[module] for module in TESTS if module in modules}
    died, total = (sum(result[key] for result in modules.values()) for key in ("died", "mutants"))
    equivalent = sum(bool(s.get("equivalent")) for result in modules.values() for s in result["survivors"])
    whole = settings | {
        "command": f"python tests/mutants.py --out {file}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "died": died,
        "mutants": total,
        "equivalent": equivalent,
        "percent": round(100 * died / total, 1),
        "percent_without_equivalent": round(100 * died / (total - equivalent), 1),
        **{key: value for key, value in before.items() if key in ("method", "not_measured")},
    }
    file.write_text(json.dumps(whole | {"modules": modules}, indent=1) + "\n")


def main() -> int:
    """Mutates and prints; the exit code."""
    parser = argparse.ArgumentParser(description="prints the mutants that the tests do not notice")
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--count", type=int, default=20, help="mutants of each module (default: 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one run of a module's tests")
    parser.add_argument("--kill", type=float, default=92, help="percent that must die (default: 92)")
    parser.add_argument("--tests", help="of the one module that is named, where it is not in the list")
    parser.add_argument("--out", type=Path, help="JSON of what was found")
    parser.add_argument("--again", action="store_true", help="try what survived in --out, after tests were added")
    args = parser.parse_args()
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Copy(Path(folder), args.timeout)
        for module in args.modules:
            again = survived(args.out, module) if args.again else None
            found[module] = measure(place, module, args.tests or TESTS[module], args.count, args.seed, again)
            if args.out:
                merge(args.out, found, {"seed": args.seed, "count": args.count})
    died, total = (sum(result[key] for result in found.values()) for key in ("died", "mutants"))
    print(f"{died} of {total} died: {100 * died / max(total, 1):.1f} %")
    return int(100 * died < args.kill * total)


if __name__ == "__main__":
    sys.exit(main())
