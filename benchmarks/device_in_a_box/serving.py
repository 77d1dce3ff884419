"""The service under its manager: every output through its filters, the watchdog, the memory limit, clocks that jump."""

from __future__ import annotations

import json

from .guest import Guest
from .installing import CONFIG, FLOWS, configure, property_of
from .report import Report

__all__ = ["restarts", "try_serving"]

WATCHDOG_S, PAUSE_S, START_S = 30, 10, 20
"""WatchdogSec and RestartSec of the unit, and what a start may take under emulation."""
LOW_MEMORY = "40M"
"""Less than the service takes: the limit is met at once."""
QUIET_S = 30
"""No line may come into the journal while frames flow for this long."""
OUTPUTS = {
    "stream": '["tcp://127.0.0.1:8765", "unix:///run/fkp-edge/stream", "ws://127.0.0.1:8766", "mqtt://127.0.0.1:1883/box"]',
    "web": '"127.0.0.1:8080"',
    "preview": "true",
    "record": '"/var/lib/fkp-edge/faces.jsonl"',
}
RECORDING = "/var/lib/fkp-edge/faces.jsonl"
SIZE = f"b=$(stat -c %s {RECORDING})"
PAGE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080{}').read(60))"
SUBSCRIBE = "import paho.mqtt.subscribe as s; print(s.simple('box/#', hostname='127.0.0.1').topic)"


def _python(program: str) -> str:
    return f'timeout 60 /opt/fkp-edge/current/bin/python -c "{program}"'


READERS = {
    "TCP": "fkp-edge status",
    "a Unix socket, by a member of the group": "sudo -u reader fkp-edge status unix:///run/fkp-edge/stream",
    "WebSocket": "fkp-edge status ws://127.0.0.1:8766",
    "the page": _python(PAGE.format("/")),
    "its health": _python(PAGE.format("/healthz")),
    "MQTT through a broker": _python(SUBSCRIBE),
    "the recording": f"{SIZE}; a=$b; sleep 5; {SIZE}; echo $a to $b bytes; [ $b -gt $a ]",
}
"""What reads each output."""


def restarts(guest: Guest) -> int:
    """How often systemd started the service again by itself."""
    return int(property_of(guest, "NRestarts"))


def try_serving(guest: Guest, report: Report) -> None:
    """All of it, on an installed service; it runs with its defaults at the end."""
    _try_outputs(guest, report)
    _try_journal(guest, report)
    _try_watchdog(guest, report)
    if guest.has_kernel:
        _try_memory(guest, report)
        _try_clock(guest, report)
        _try_two(guest, report)
    guest.run(f"cp /root/config.toml {CONFIG}; systemctl restart fkp-edge")


def _try_outputs(guest: Guest, report: Report) -> None:
    guest.run(f"cp {CONFIG} /root/config.toml; useradd -G fkp-edge reader; systemctl start mosquitto")
    configure(guest, OUTPUTS)
    check = guest.run(f"cd /var/lib/fkp-edge; sudo -u fkp-edge fkp-edge run --config {CONFIG} --check")
    report.check("the documented check takes the configuration", check.code == 0, check.text)
    guest.run(f"systemctl restart fkp-edge; {FLOWS}")
    for name, command in READERS.items():
        answer = guest.run(command, timeout_s=120)
        report.check(f"the unit's filters let through: {name}", answer.code == 0, (answer.lines() or [""])[-1])


def _try_journal(guest: Guest, report: Report) -> None:
    lines = f"journalctl -u fkp-edge -o json --no-pager --since '-{QUIET_S}s'"
    count = guest.run(f"sleep {QUIET_S}; {lines} | wc -l", timeout_s=QUIET_S + 120).text.strip()
    report.check(f"no line in the journal in {QUIET_S} s of frames", count == "0", f"{count} lines")


def _try_watchdog(guest: Guest, report: Report) -> None:
    before, process = restarts(guest), property_of(guest, "MainPID")
    longest = WATCHDOG_S + PAUSE_S + START_S
    command = (
        f"t=$(date +%s); kill -STOP {process}; "
        f"while [ $(systemctl show --value -p NRestarts fkp-edge) = {before} ]; do sleep 0.5; done; "
        f"fkp-edge status --within 3; {FLOWS}; echo $(($(date +%s) - t))"
    )
    answer = guest.run(command, timeout_s=longest * 3)
    after_s = int(answer.lines()[-1]) if answer.code == 0 else longest * 3
    again = restarts(guest) - before
    report.figure("sigstop_flowing_after_s", after_s)
    report.check(
        "SIGSTOP: the watchdog starts it again",
        again == 1 and after_s <= longest,
        f"frames {after_s} s later, {again} restart",
    )


def _try_memory(guest: Guest, report: Report) -> None:
    before = restarts(guest)
    answer = guest.run(
        f"systemctl set-property --runtime fkp-edge MemoryMax={LOW_MEMORY} MemorySwapMax=0; "
        f"while [ $(systemctl show --value -p NRestarts fkp-edge) = {before} ] && "
        "[ $(systemctl show --value -p Result fkp-edge) = success ]; do sleep 0.5; done; "
        "systemctl show --value -p Result fkp-edge; "
        f"systemctl set-property --runtime fkp-edge MemoryMax=400M; {FLOWS}",
        timeout_s=180,
    )
    again, text = restarts(guest) - before, " ".join(answer.lines()[:2])
    report.check("MemoryMax: one clean restart", answer.code == 0 and again == 1, f"{text}, {again} restart")


def _try_clock(guest: Guest, report: Report) -> None:
    before, process = restarts(guest), property_of(guest, "MainPID")
    guest.run("timedatectl set-ntp false")
    for name, shift in (("forward", "+5 hours"), ("back", "-10 hours")):
        answer = guest.run(f"timedatectl set-time \"$(date -d '{shift}' '+%F %T')\" && sleep 3 && fkp-edge status")
        same = restarts(guest) == before and property_of(guest, "MainPID") == process
        report.check(f"the clock goes {name} by hours", answer.code == 0 and same, (answer.lines() or [""])[0])
    guest.run("timedatectl set-time \"$(date -d '+5 hours' '+%F %T')\"")
    after = guest.run(f"sleep {WATCHDOG_S + 5}; fkp-edge status", timeout_s=180)
    report.check(
        "the watchdog is quiet after that", after.code == 0 and restarts(guest) == before, (after.lines() or [""])[0]
    )


def _try_two(guest: Guest, report: Report) -> None:
    answer = guest.run("timeout 60 fkp-edge run --source v4l2:0 --stream tcp://127.0.0.1:9000")
    told = answer.code == 2 and "another program holds it" in answer.text
    report.check("a second program on the camera is told so", told, (answer.lines() or [""])[-1])
    checks = json.loads(guest.run("fkp-edge doctor --json 2>/dev/null", timeout_s=300).text)["checks"]
    named = next(check["text"] for check in checks if check["name"] == "camera in use")
    report.check("doctor names who holds it", property_of(guest, "MainPID") in named, named)
    report.check("the first one goes on", guest.run("fkp-edge status").code == 0)
