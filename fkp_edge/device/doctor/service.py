"""Checks of what would run: configuration, ports, model file, Edge TPU, display, service."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from fkp_edge.core.subprocesses import Ended
from fkp_edge.device.doctor.machine import PROGRAM_S, Finding, Machine, absent, fails, fine, warns

__all__ = ["check_config", "check_coral", "check_display", "check_model", "check_ports", "check_service"]

UNIT = "fkp-edge.service"
BOUND = ("tcp", "ws", "wss")
"""Streams that listen on this machine; the others send."""
LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


def check_config(machine: Machine) -> Finding:
    """Whether `run --config` takes it."""
    printed = machine.printed_config
    if printed.code != 0:
        return _error(printed, "the configuration cannot be read")
    return fine(f"{machine.config_file} can be read") if machine.config_file else absent("none: the defaults hold")


def check_ports(machine: Machine) -> Finding:
    """Whether somebody else listens where the stream and the page shall."""
    if not machine.settings:
        return absent("not checked without a configuration that can be read")
    try:
        wanted = _ports(machine.settings)
    except ValueError as error:
        return fails(f"an address cannot be used: {error}", "correct stream and web in the configuration")
    if not wanted:
        return absent("nothing listens on a port: nothing to check")
    taken = {port: who for port, who in _listening(machine).items() if port in wanted}
    for port, (inode, uid) in taken.items():
        holder = next(iter(machine.holders(f"socket:[{inode}]")), None)
        is_ours = uid == machine.service_uid if holder is None else holder.is_ours
        if not is_ours:
            by = str(holder) if holder else f"a program that sudo ss -ltnp 'sport = :{port}' names"
            return fails(f"port {port} is taken by {by}", f"stop it, or put another port into {wanted[port]}")
    if taken:
        return fine(f"{', '.join(map(str, taken))}: held by the fkp-edge that runs")
    return fine(f"{', '.join(map(str, wanted))}: free")


def check_model(machine: Machine) -> Finding:
    """The file is whole, and its golden cases give what they gave on the desktop."""
    path = machine.model_file
    arguments = ["verify", str(path), "--json"]
    if machine.settings.get("accelerator") == "edgetpu":
        arguments += ["--accelerator", "edgetpu"]
    ended = machine.fkp_edge(*arguments)
    try:
        found = json.loads(ended.output)
    except ValueError:
        return _error(ended, f"{path} cannot be verified")
    named = f"{found['model']} ({found['sha256'][:8]})"
    if first := found["first"]:
        return fails(
            f"{named} differs from the desktop in {first['stage']}: {first['found']:.4g} {first['unit']}",
            "see the check of the TFLite runtime; then copy the file again",
        )
    return fine(f"{named}: {found['cases']} golden cases give what they gave, on {found['runs_on']}")


def check_coral(machine: Machine) -> Finding:
    """Whether an attached Edge TPU works with its library and the runtime."""
    try:
        from fkp_edge.model.edgetpu import find_devices
    except ImportError as error:
        return absent(f"not checked: {error}")
    devices = find_devices(machine.root)
    if not devices and machine.settings.get("accelerator") != "edgetpu":
        return absent("no Coral: nothing to check")
    return _pairing(machine)


def check_display(_: Machine) -> Finding:
    """None is needed."""
    return absent("none is needed: run --web shows a page to other machines")


def check_service(machine: Machine) -> Finding:
    """Whether the installed service runs."""
    if not (machine.root / "etc/systemd/system" / UNIT).is_file():
        return absent("not installed: sudo device/install.sh makes it start with the system")
    try:
        said = (machine.run(["systemctl", "is-active", UNIT]).output.split() or ["unknown"])[0]
    except OSError:
        return absent("no systemctl: nothing to check")
    if said == "active":
        return fine("active")
    if said in ("failed", "activating"):
        return fails(f"{UNIT} is {said}", f"journalctl -u {UNIT} -n 20 says why; then sudo systemctl restart {UNIT}")
    return warns(f"{UNIT} is {said}", f"sudo systemctl enable --now {UNIT}")


def _error(ended: Ended, otherwise: str) -> Finding:
    """Our own errors name the value and what was expected, then the remedy."""
    lines = [line for line in ended.output.splitlines() if line.startswith("fkp-edge: error: ")]
    if lines:
        what, _, remedy = lines[-1].removeprefix("fkp-edge: error: ").partition("; ")
        return fails(what, remedy or "correct it")
    last = (ended.output.strip().splitlines() or [f"exit code {ended.code}"])[-1]
    return fails(f"{otherwise}: {last}", "see the checks of libraries above")


def _ports(settings: dict[str, Any]) -> dict[int, str]:
    """Port -> the key that names it.

    Raises:
        ValueError: a port is no number, or beyond 65535.
    """
    urls = [(url, "stream") for url in settings.get("stream", []) if url.split("://")[0] in BOUND]
    urls += [(f"//{settings['web']}", "web")] if settings.get("web") else []
    found = {}
    for url, key in urls:
        if port := urlsplit(url).port:
            found[port] = key
    return found


def _listening(machine: Machine) -> dict[int, tuple[str, str]]:
    """Port -> inode of the socket that listens there, and its user, whom all may read (proc(5), /proc/net/tcp)."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in machine.text(f"proc/net/{table}").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTENING:
                found[int(fields[1].rpartition(":")[2], 16)] = (fields[9], fields[7])
    return found


def _pairing(machine: Machine) -> Finding:
    from fkp_edge.errors import FkpEdgeError
    from fkp_edge.model.edgetpu import diagnose, find_devices, read_probe
    from fkp_edge.model.file import read_model_file

    try:
        flatbuffer = read_model_file(machine.model_file, card_required=False).flatbuffer
    except FkpEdgeError:
        return absent("not checked without a model file that can be read")
    runtime = machine.probe("runtime").facts
    if not runtime:
        return absent("not checked without a TFLite runtime")
    named = f"{runtime['name']} {runtime['version']}"
    ended = machine.run([sys.executable, "-P", "-m", "fkp_edge.model.edgetpu_probe"], given=flatbuffer)
    devices = find_devices(machine.root)
    problem = diagnose(read_probe(ended), devices, runtime=named, timeout_s=PROGRAM_S)
    if problem is None:
        return fine(f"{', '.join(str(device.node) for device in devices)} works with {named}")
    what, _, remedy = str(problem).partition("; ")
    return fails(what, remedy)
