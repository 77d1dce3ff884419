"""Power cuts by the hundred: the disk is copied, in one moment, under a service that changes it; the copy is looked at.

A copy is what a machine would find after its power went then: what the kernel had handed to the disk is there, what was
in its memory is not. The disk is a file on btrfs, which copies a file by its extents at one point between two writes.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from .container import Container
from .image import HERE, MODELS, REPOSITORY, Image, run
from .installing import CONFIG, FLOWS, configure, install
from .machine import BoxError
from .power import PLACE, Cut, Said, examine, mounted, read_said
from .report import Report

__all__ = ["cut_power"]

STATE = "/var/lib/fkp-edge"
STATE_MB, POOL_MB = 128, 2048
OPTIONS = ("defaults", "data=writeback")
"""How the state's ext4 is mounted; half of the cuts each."""
RECORDINGS = ("faces.jsonl", "demo.jsonl.gz")
"""Of the service, and of a second run."""
LONGEST_S = 1.5
"""Between two cuts: a change takes less."""
DEMO = (
    f"systemd-run -q --unit=demo --uid=fkp-edge --working-directory={STATE} "
    "fkp-edge run --source demo --config /etc/fkp-edge/demo.toml"
)
OUTPUT, GO = "/run/load.out", "/run/go"
LOAD = (
    f"systemd-run -q --unit=load --property=StandardOutput=file:{OUTPUT} /opt/fkp-edge/current/bin/python -u "
    f"/root/power_load.py {GO} {STATE}/{PLACE} {' '.join(f'/box/models/{name}' for name in MODELS)} "
    f"{' '.join(f'{STATE}/{name}' for name in RECORDINGS)}"
)


def _steps() -> list[str]:
    """What prepares a service that records twice, and a program that is about to change its model."""
    changes = ('s|^stream = .*|stream = ["tcp://127.0.0.1:9000"]|', f"s|{RECORDINGS[0]}|{RECORDINGS[1]}|")
    return [
        f"cp /box/models/{MODELS[0]} {STATE}/{PLACE} && chown -R fkp-edge: {STATE}",
        f"sed '{'; '.join(changes)}' {CONFIG} > /etc/fkp-edge/demo.toml",
        f"systemctl restart fkp-edge && {FLOWS}",
        DEMO,
        "until fkp-edge status tcp://127.0.0.1:9000; do sleep 0.2; done",
        LOAD,
        f"until grep -q ready {OUTPUT}; do sleep 0.1; done; sync; touch {GO}",
    ]


def _prepare(container: Container) -> None:
    container.put(HERE / "power_load.py")
    container.run(container.prepare)
    done = install(container, f"--wheel /box/now/*.whl --source {container.source} --extras web,mqtt")
    configure(container, {"model": f'"{STATE}/{PLACE}"', "record": f'"{STATE}/{RECORDINGS[0]}"'})
    done = container.run(" && ".join(_steps())) if done.code == 0 else done
    if done.code != 0:
        raise BoxError(f"nothing to cut off: {done.text[-500:]}")


def cut_power(image: Image, kit: Path, work: Path, report: Report, *, count: int, boots: int) -> None:
    """Cuts `count` times, and boots `boots` of the disks that are left.

    Args:
        image: of the system.
        kit: the second disk.
        work: a folder for disks.
        report: gets the checks.
        count: of cuts.
        boots: at most `count`.

    Raises:
        BoxError: the service did not start.
    """
    pool = work / "pool.img"
    run("truncate", "-s", f"{POOL_MB}M", pool)
    run("mkfs.btrfs", "-q", pool)
    cuts: list[tuple[Cut, Said]] = []
    booted: list[str] = []
    with mounted(pool) as place:
        for options in OPTIONS:
            kept = _cut(image, kit, work, place, options, report, cuts, count // len(OPTIONS), boots // len(OPTIONS))
            booted += [_boot(image, kit, work, disk, options) for disk in kept]
            _judge(report, cuts, booted)


def _cut(
    image: Image,
    kit: Path,
    work: Path,
    place: Path,
    options: str,
    report: Report,
    cuts: list[tuple[Cut, Said]],
    count: int,
    boots: int,
) -> list[Path]:
    """The cuts under one way of mounting; the disks to boot."""
    models = [REPOSITORY / "fkp_edge/model/shipped" / name for name in MODELS]
    first = hashlib.sha256(models[0].read_bytes()).hexdigest()
    rng = random.Random(len(cuts))  # noqa: S311 - draws moments, no secret
    disk, copy, kept = place / "state.img", place / "cut.img", []
    disk.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", disk, f"{STATE_MB}M")
    with ExitStack() as stack:
        state = stack.enter_context(mounted(disk, options))
        container = stack.enter_context(Container(image, kit, work / "cut", state=state))
        _prepare(container)
        for number in range(count):
            time.sleep(rng.uniform(0, LONGEST_S))
            before = container.read(OUTPUT)
            run("cp", "--reflink=always", disk, copy)
            said = read_said(before, container.read(OUTPUT), first)
            if number % (count // boots) == 0:
                kept.append(place / f"boot-{len(kept)}.img")
                run("cp", "--reflink=always", copy, kept[-1])
            with mounted(copy, options) as folder:
                cuts.append((examine(folder, said, models), said))
            for problem in cuts[-1][0].problems:
                report.check(f"cut {number} of {options}", False, problem)
    return kept


def _boot(image: Image, kit: Path, work: Path, disk: Path, options: str) -> str:
    """Boots a system with what a cut left as its state; empty, or what is wrong."""
    try:
        with mounted(disk, options) as state, Container(image, kit, work / "boot", state=state) as container:
            container.run(container.prepare)
            install(container, f"--wheel /box/now/*.whl --source {container.source} --extras web,mqtt --no-start")
            configure(container, {"model": f'"{STATE}/{PLACE}"', "record": f'"{STATE}/{RECORDINGS[0]}"'})
            answer = container.run(
                f"systemctl start fkp-edge; {FLOWS} && fkp-edge verify {STATE}/{PLACE}", timeout_s=120
            )
            return "" if answer.code == 0 else answer.text[-300:]
    except BoxError as error:
        return str(error)


def _judge(report: Report, cuts: Sequence[tuple[Cut, Said]], booted: Sequence[str]) -> None:
    states = {state: sum(cut.state == state for cut, _ in cuts) for state in ("before", "half", "after")}
    frames = {name: sum(cut.frames.get(name, 0) for cut, _ in cuts) for name in RECORDINGS}
    bad, failed = sum(bool(cut.problems) for cut, _ in cuts), [text for text in booted if text]
    # it goes up under one way of mounting, and begins anew under the next
    done = sum(said.done for (_, said), (_, later) in pairwise([*cuts, (None, Said())]) if later.done < said.done)
    report.figure("cuts", {"count": len(cuts), **states, "changes_reported": done, "lines_read": frames})
    report.figure("boots_after_cuts", len(booted))
    report.check("power cuts lose nothing that was reported as done", not bad, f"{bad} of {len(cuts)} with a problem")
    report.check("the service starts on what cuts left, and its model verifies", not failed, failed[:1] or len(booted))
