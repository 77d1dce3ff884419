"""`fkp-edge convert`: float network -> int8 model file, with a report; nothing to deploy where it lost too much."""

from __future__ import annotations

import shlex
import shutil
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fkp_edge.cli.terminal import desktop_stderr, to_json
from fkp_edge.convert.recipe import ConvertRecipe, check_free, check_inputs
from fkp_edge.core.files import write_whole
from fkp_edge.core.settings import read_toml
from fkp_edge.errors import InputError

if TYPE_CHECKING:
    from fkp_edge.convert.attempts import Job
    from fkp_edge.convert.finder import FinderReport
    from fkp_edge.convert.report import Report

__all__ = ["convert"]


def convert(args: Namespace) -> int:
    """Converts and judges, or scans; 1 where the result is refused."""
    recipe = read_toml(args.recipe, ConvertRecipe) if args.recipe else ConvertRecipe()
    if args.max_loss is not None:
        recipe = msgspec.structs.replace(recipe, max_loss_percent=args.max_loss)
    if args.require_all_mapped and not args.edgetpu:
        raise InputError("--require-all-mapped is about the Edge TPU's compiler; add --edgetpu")
    if not args.scan:
        check_free(args.out, overwrite=args.overwrite)
    check_inputs(args.model, recipe, args.data)
    with desktop_stderr():
        try:
            return _convert(args, recipe)
        except KeyboardInterrupt:
            print("\nstopped; the same command goes on with what was fine-tuned so far", file=sys.stderr)
            raise


def _convert(args: Namespace, recipe: ConvertRecipe) -> int:
    from fkp_edge.convert.attempts import prepare_job
    from fkp_edge.convert.edgetpu import find_compiler
    from fkp_edge.convert.finder import is_finder
    from fkp_edge.convert.pages import draw_worst, write_report
    from fkp_edge.convert.run import convert as convert_model
    from fkp_edge.library.making import haar_proposer

    if is_finder(args.model):
        return _convert_finder(args, recipe)
    compiler = find_compiler() if args.edgetpu else None
    prepare = partial(
        prepare_job,
        args.model,
        recipe,
        data_dir=args.data,
        propose=haar_proposer(),
        trust_code=args.trust_model_code,
    )
    if args.scan:
        job = prepare(work=args.scan / "work")
        return _scan(job, args.scan, as_json=args.json)
    if compiler and _compiled(args.out).exists() and not args.overwrite:
        raise InputError(f"{_compiled(args.out)} already exists; name another --out or add --overwrite")
    work = args.out.with_suffix(".work")
    result = convert_model(prepare(work=work))
    worst = draw_worst(result.before, result.after, result.crops) if args.worst else None
    written = write_report(result.report, args.out, worst)
    if worst:
        write_whole({args.worst: worst})
        written.append(args.worst)
    if result.report.passed:
        written += result.save(args.out, overwrite=args.overwrite).values()
        shutil.rmtree(work, ignore_errors=True)
    _print_result(args, result.report, written, _kept(result.report))
    if result.report.warning:
        print(f"warning: {result.report.warning}", file=sys.stderr)
    if not result.report.passed:
        return 1
    return _compile(args, compiler) if compiler else 0


def _convert_finder(args: Namespace, recipe: ConvertRecipe) -> int:
    """Converts and judges a finder; 1 where the result is refused."""
    from fkp_edge.convert.finder import convert_finder, write_finder_report

    options = {"--scan": args.scan, "--worst": args.worst, "--edgetpu": args.edgetpu}
    if given := [name for name, value in options.items() if value]:
        raise InputError(f"{args.model} is a finder, for which there is no {given[0]}; leave it out")
    result = convert_finder(args.model, recipe, data_dir=args.data, trust_code=args.trust_model_code)
    written = write_finder_report(result.report, args.out)
    if result.report.passed:
        written += result.save(args.out, overwrite=args.overwrite).values()
    _print_result(
        args, result.report, written, f"{result.report.faces} faces of {result.report.photographs} photographs"
    )
    return 0 if result.report.passed else 1


def _scan(job: Job, out: Path, *, as_json: bool) -> int:
    """Which layers can lose filters, instead of a model file."""
    from fkp_edge.convert.sweep import scan

    found = scan(job)
    paths = found.save(out)
    shutil.rmtree(job.work, ignore_errors=True)
    if as_json:
        print(to_json(found))
        return 0
    print(f"{'layer':<28}{'filters':>8}{'kept':>6}{'work saved %':>14}{'loss %':>9}")
    for one in found.sensitivity:
        saved = f"{one.macs_saved_percent:>14.1f}{one.loss.loss_percent:>9.1f}"
        print(f"{one.layer:<28}{one.filters:>8}{one.kept:>6}{saved}")
    print(f"\n{'filters gone':<14}{'multiply-accumulates':>22}{'loss untuned %':>16}{'tuned %':>9}")
    for point in found.sweep:
        losses = f"{point.untuned.loss_percent:>16.1f}{point.tuned.loss_percent:>9.1f}"
        print(f"{point.share:<14.0%}{point.macs:>22,}{losses}{'  knee' if point.share == found.knee else ''}")
    print("\n".join(f"written: {path}" for path in paths))
    return 0


def _print_result(args: Namespace, report: Report | FinderReport, written: list[Path], kept: str) -> None:
    """Three lines, whatever was converted: passed or not, what it kept, what to type next."""
    if args.json:
        print(to_json({"passed": report.passed, "files": list(map(str, written)), "report": report}))
        if not report.passed:
            print(f"{args.out} is not written: it {report.verdict}", file=sys.stderr)
        return
    page = args.out.with_suffix(".report.html")
    print(f"{args.out} {'' if report.passed else 'is not written: it '}{report.verdict}")
    print(f"kept: {kept}")
    if report.passed:
        print(f"next: fkp-edge verify {shlex.quote(str(args.out))}   (all figures: {page})")
    else:
        print(f"next: look at {page}; then convert/qat.toml as the recipe, or a larger --max-loss")


def _kept(report: Report) -> str:
    """What is left of size, work and faces found."""
    by_name = {size.name: size for size in report.sizes}
    first, last = by_name["float32 before"].bytes, by_name["int8"].bytes
    parts = [f"{last / 1000:.0f} of {first / 1000:.0f} kB"]
    if report.macs[0]:
        parts.append(f"{report.macs[1] / 1e6:.1f} of {report.macs[0] / 1e6:.1f} million multiply-accumulates")
    if report.found_percent:
        before, after = report.found_percent
        parts.append(f"finds {after:.1f} % of the validation faces ({before:.1f} % before)")
    return ", ".join(parts)


def _compiled(out: Path) -> Path:
    """NAME_edgetpu.tflite beside the int8 file: the vendor's own naming."""
    return out.with_name(f"{out.stem}_edgetpu{out.suffix}")


def _compile(args: Namespace, compiler: Path) -> int:
    """Makes the Edge TPU's file from the int8 one; 1 where it is refused."""
    from fkp_edge.convert.edgetpu import compile_for_edgetpu
    from fkp_edge.convert.edgetpu_check import check_on_paper
    from fkp_edge.model.file import read_model_file

    file = read_model_file(args.out)
    print(check_on_paper(file.flatbuffer), file=sys.stderr)
    model = compile_for_edgetpu(file, compiler)
    left = "; ".join(model.log.on_cpu) or ("" if model.log.operators else "the compiler printed no table")
    if left:
        print(f"left to the CPU: {left}", file=sys.stderr)
        if args.require_all_mapped:
            print("no file for the Edge TPU is written: --require-all-mapped", file=sys.stderr)
            return 1
    model.save(_compiled(args.out), overwrite=args.overwrite)
    print(f"{model.log.mapped} operators on the Edge TPU: {_compiled(args.out)}", file=sys.stderr)
    return 0
