"""The service on a booted system: installed, started at boot, upgraded, taken back, removed."""

from __future__ import annotations

import re

from .guest import Guest
from .machine import BoxError
from .report import Report, exposure, failing, steps_of
from .wire import Answer

__all__ = ["CONFIG", "FLOWS", "SLOW", "configure", "install", "property_of", "try_installing", "try_versions"]

MAX_FLOWING_S = 30.0
"""From the kernel's first line to frames."""
MAX_EXPOSURE = 2.5
INSTALL = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/box/wheels; /box/clone/device/install.sh"
PLACES = (
    "/opt/fkp-edge",
    "/etc/systemd/system/fkp-edge.service",
    "/etc/udev/rules.d/60-fkp-edge-coral.rules",
    "/usr/local/bin/fkp-edge",
    "/etc/fkp-edge",
    "/var/lib/fkp-edge",
)
"""All that the installer puts somewhere."""
CONFIG = "/etc/fkp-edge/config.toml"
SLOW = "5.0"
"""Frames a second where frames are not what is looked at: each costs an emulated machine a quarter of a second."""
FLOWS = "until fkp-edge status; do sleep 0.2; done"


def install(guest: Guest, options: str) -> Answer:
    """Runs the installer with these options; its wheels come from the kit, there is no network."""
    return guest.run(f"{INSTALL} {options}", timeout_s=900)


def property_of(guest: Guest, name: str) -> str:
    """One property of the service, as systemd has it."""
    return guest.run(f"systemctl show --value -p {name} fkp-edge").text.strip()


def _chosen(guest: Guest) -> str:
    return f"--source {guest.source} --extras web,mqtt"


def _last(answer: Answer) -> str:
    return f"exit code {answer.code}: {(answer.lines() or [''])[-1]}"


def _version(guest: Guest) -> str:
    return guest.run("fkp-edge --version").text.strip()


def _leftovers(guest: Guest) -> list[str]:
    return guest.run(f"ls -d {' '.join(PLACES)} 2>/dev/null").lines()


def try_installing(guest: Guest, report: Report) -> None:
    """Installs, reboots and looks; at the end the service runs, and films vivid.

    Raises:
        BoxError: the first installation failed, so that there is nothing to look at.
    """
    prepared = guest.run(guest.prepare)
    report.check("there is something to film", prepared.code == 0, guest.source)
    done = install(guest, f"--wheel /box/now/*.whl {_chosen(guest)}")
    if not report.check("install.sh installs", done.code == 0, _last(done)):
        raise BoxError(done.text[-1000:])
    answer = guest.run(FLOWS, timeout_s=120)
    report.check("frames flow after the installation", answer.code == 0, _last(answer))
    _reboot(guest, report)
    _judge_service(guest, report)


def try_versions(guest: Guest, report: Report) -> None:
    """Upgrades an installed service, goes back, removes all of it and installs it again."""
    configure(guest, {"rate": SLOW})
    _change_versions(guest, report)
    _remove(guest, report)
    done = install(guest, f"--wheel /box/now/*.whl {_chosen(guest)}")
    report.check("it installs again after a purge", done.code == 0, _last(done))


def configure(guest: Guest, values: dict[str, str]) -> None:
    """Puts TOML values into the installed configuration, as an editor would."""
    for key, value in values.items():
        guest.run(f"sed -i 's|^{key} = .*|{key} = {value}|' {CONFIG}")


def _reboot(guest: Guest, report: Report) -> None:
    guest.reboot()
    answer = guest.run(FLOWS, timeout_s=300)
    report.figure("flowing_after_s", round(answer.uptime_s, 1))
    text = f"{answer.uptime_s:.1f} s after its beginning: {' '.join(answer.lines()[-2:])}"
    report.check(
        f"frames flow within {MAX_FLOWING_S:.0f} s of a boot",
        answer.code == 0 and answer.uptime_s <= MAX_FLOWING_S,
        text,
    )
    if guest.has_kernel:
        ready = int(property_of(guest, "ActiveEnterTimestampMonotonic"))
        report.figure("ready_after_s", round(ready / 1e6, 1))
    report.check("the service is enabled", guest.run("systemctl is-enabled fkp-edge").text.strip() == "enabled")


def _judge_service(guest: Guest, report: Report) -> None:
    found = exposure(guest.run("systemd-analyze security --no-pager fkp-edge").text)
    report.figure("exposure", found)
    report.check(f"systemd-analyze security says {MAX_EXPOSURE} at most", found <= MAX_EXPOSURE, found)
    command = "sudo -u fkp-edge fkp-edge doctor --json --config /etc/fkp-edge/config.toml 2>/dev/null"
    problems = failing(guest.run(command).text)
    report.check("doctor finds nothing wrong", not problems, "; ".join(problems) or "no check fails or warns")


def _change_versions(guest: Guest, report: Report) -> None:
    before = _version(guest)
    done = install(guest, "--wheel /box/next/*.whl")
    after = _version(guest)
    flows = guest.run(FLOWS, timeout_s=120)
    report.check(
        "an upgrade runs", done.code == flows.code == 0 and before != after, f"{before} to {after}, {_last(flows)}"
    )
    process = property_of(guest, "MainPID")
    done = install(guest, "--wheel /box/broken/*.whl")
    same = (_version(guest), property_of(guest, "MainPID")) == (after, process)
    report.check("a failed upgrade leaves the old one running", done.code == 2 and same, _last(done))
    done = install(guest, "--wheel /box/now/*.whl")
    flows = guest.run(FLOWS, timeout_s=120)
    fetched = [step for step in steps_of(done.text) if re.search(r"pip install", step)]
    good = done.code == flows.code == 0 and _version(guest) == before and not fetched
    report.check("going back fetches nothing", good, f"{_version(guest)}, {len(fetched)} calls of pip install")


def _remove(guest: Guest, report: Report) -> None:
    done = install(guest, "--uninstall")
    left = _leftovers(guest)
    gone = guest.run("systemctl is-active fkp-edge").code != 0
    report.check(
        "uninstall keeps the configuration and the state",
        done.code == 0 and gone and left == ["/etc/fkp-edge", "/var/lib/fkp-edge"],
        left,
    )
    done = install(guest, "--uninstall --purge")
    left = _leftovers(guest) + guest.run("getent passwd fkp-edge; getent group fkp-edge").lines()
    report.check("purge leaves nothing", done.code == 0 and not left, left or "no file, no user")
