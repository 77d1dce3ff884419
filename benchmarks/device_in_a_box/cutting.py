"""Power cuts by the dozen: one machine is prepared and kept asleep, woken again and again, and stopped dead."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .asleep import Asleep
from .image import HERE, MODELS, REPOSITORY, run
from .installing import CONFIG, FLOWS, SLOW, configure
from .machine import BoxError
from .power import PLACE, Cut, Said, examine, mounted, read_said
from .report import Report

__all__ = ["cut_power"]

STATE = "/var/lib/fkp-edge"
OPTIONS = ("defaults", "data=writeback")
"""How the state's ext4 is mounted; half of the cuts each."""
RECORDINGS = ("faces.jsonl", "demo.jsonl.gz")
"""Of the service, and of a second run."""
CHANGES = 3
"""The cut comes within the time that so many changes take."""
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
FOLLOW = f"touch {GO}; tail -n +1 -f {OUTPUT}"


def _steps(options: str) -> list[str]:
    """What prepares a machine, each a line of bash."""
    changes = (
        's|^stream = .*|stream = ["tcp://127.0.0.1:9000"]|',
        f"s|{RECORDINGS[0]}|{RECORDINGS[1]}|",
        "s|^loop = .*|loop = true|",
    )
    return [
        f"systemctl stop fkp-edge && mount -o {options} /dev/vdc {STATE}",
        f"cp /box/models/{MODELS[0]} {STATE}/{PLACE} && chown -R fkp-edge: {STATE}",
        f"echo '/dev/vdc {STATE} ext4 {options} 0 0' >> /etc/fstab",
        f"sed '{'; '.join(changes)}' {CONFIG} > /etc/fkp-edge/demo.toml",
        f"systemctl start fkp-edge && {FLOWS}",
        DEMO,
        "until fkp-edge status tcp://127.0.0.1:9000; do sleep 0.2; done",
        LOAD,
        f"until grep -q ready {OUTPUT}; do sleep 0.1; done; sync",
    ]


def _prepare(asleep: Asleep, folder: Path, options: str) -> Asleep:
    """A machine that serves, records twice and is about to change its model, asleep."""
    with asleep.wake(folder) as machine:
        machine.put(HERE / "power_load.py")
        configure(machine, {"model": f'"{STATE}/{PLACE}"', "record": f'"{STATE}/{RECORDINGS[0]}"', "rate": SLOW})
        done = machine.run(" && ".join(_steps(options)), timeout_s=300)
        if done.code != 0:
            raise BoxError(f"no machine to cut off: {done.text[-500:]}")
        machine.save(folder / "memory")
    return replace(asleep, folder=folder)


def _load(asleep: Asleep, folder: Path, after_s: float | None) -> tuple[str, float]:
    """What the load said until the power went, and seconds to its last change; None is after `CHANGES` changes."""
    with asleep.wake(folder) as machine:
        return machine.cut_during(FOLLOW, '"doing"', after_s, f'"done": {CHANGES - 1}')


def cut_power(asleep: Asleep, work: Path, report: Report, *, count: int, boots: int) -> None:
    """Cuts `count` times, and boots `boots` of the disks that are left.

    Args:
        asleep: a machine with the service installed.
        work: a folder for disks.
        report: gets the checks.
        count: of cuts.
        boots: at most `count`.
    """
    models = [REPOSITORY / "fkp_edge/model/shipped" / name for name in MODELS]
    first = hashlib.sha256(models[0].read_bytes()).hexdigest()
    rng = random.Random(1)  # noqa: S311 - draws moments, no secret
    cuts: list[Cut] = []
    said: list[Said] = []
    booted: list[str] = []
    folder = work / "cut"
    for options in OPTIONS:
        prepared = _prepare(asleep, work / options, options)
        _, longest_s = _load(prepared, folder, None)
        for number in range(count // len(OPTIONS)):
            text, _ = _load(prepared, folder, rng.uniform(0, longest_s))
            said.append(read_said(text, first))
            run("qemu-img", "convert", "-O", "raw", folder / "state.qcow2", work / "state.img")
            with mounted(work / "state.img") as state:
                cuts.append(examine(state, said[-1], models))
            for problem in cuts[-1].problems:
                report.check(f"cut {number} of {options}", False, problem)
            if number % max(1, count // boots) == 0:
                booted.append(_boot(prepared, folder))
            _judge(report, cuts, said, booted)


def _boot(asleep: Asleep, folder: Path) -> str:
    """Boots what the last cut left; empty, or what is wrong."""
    try:
        with asleep.machine(folder, wakes=False) as machine:
            answer = machine.run(f"{FLOWS} && fkp-edge verify {STATE}/{PLACE}", timeout_s=300)
            return "" if answer.code == 0 else answer.text[-300:]
    except BoxError as error:
        return str(error)


def _judge(report: Report, cuts: Sequence[Cut], said: Sequence[Said], booted: Sequence[str]) -> None:
    """After each cut, so that what was found is kept whenever this ends."""
    states = {state: sum(cut.state == state for cut in cuts) for state in ("before", "half", "after")}
    frames = {name: sum(cut.frames.get(name, 0) for cut in cuts) for name in RECORDINGS}
    done = sum(one.done for one in said)
    bad, failed = sum(bool(cut.problems) for cut in cuts), [text for text in booted if text]
    report.figure("cuts", {"count": len(cuts), **states, "changes_reported": done, "lines_read": frames})
    report.figure("boots_after_cuts", len(booted))
    report.check("power cuts lose nothing that was reported as done", not bad, f"{bad} of {len(cuts)} with a problem")
    report.check("machines boot after cuts, serve and verify their model", not failed, failed[:1] or f"{len(booted)}")
