"""Boards on file trees written from the documentation of the kernel and of `vcgencmd`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fkp_edge.device.board import read_board

NONE = "no-such-program"
PI5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/cpuinfo": "".join(f"processor\t: {i}\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n" for i in range(4)),
    "proc/meminfo": "MemTotal:        8255632 kB\nMemFree:         7000000 kB\n",
    "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-2712\n",
    "etc/os-release": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48650\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes files below a folder, which it gives."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def vcgencmd(tmp_path: Path) -> Callable[..., str]:
    """A program that says `text` when asked for what `get_throttled` is."""

    def write(text: str, code: int = 0) -> str:
        path = tmp_path / "vcgencmd"
        path.write_text(f'#!/bin/sh\n[ "$*" = get_throttled ] && echo "{text}"\nexit {code}\n')
        path.chmod(0o755)
        return str(path)

    return write


def test_a_pi_5_is_read(tree):
    board = read_board(tree(PI5), NONE)
    assert (board.model, board.cpu, board.cores) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76", 4)
    assert (board.system, board.kernel) == ("Debian GNU/Linux 12 (bookworm)", "6.6.31+rpt-rpi-2712")
    assert (board.governor, board.frequency_mhz, board.temperature_c) == ("ondemand", 1500, 48.65)
    assert board.memory_mb == pytest.approx(8062.1, abs=0.1)


def test_throttling_has_names(tree):
    board = read_board(tree(PI5), NONE)
    assert board.throttling == ("under-voltage", "throttled")
    assert board.throttled_before == ("under-voltage has occurred", "throttling has occurred")


def test_vcgencmd_is_asked_first(tree, vcgencmd):
    assert read_board(tree(PI5), vcgencmd("throttled=0x0")).throttled == 0


@pytest.mark.parametrize(("text", "code"), [("Can't open device file: /dev/vcio", 255), ("error=1", 0)])
def test_a_vcgencmd_that_fails_is_no_answer(tree, vcgencmd, text: str, code: int):
    without = {name: content for name, content in PI5.items() if "get_throttled" not in name}
    board = read_board(tree(without), vcgencmd(text, code))
    assert (board.throttled, board.throttling) == (None, ())


def test_where_vcgencmd_may_not_open_its_device_the_kernel_is_asked(tree, vcgencmd):
    assert read_board(tree(PI5), vcgencmd("Can't open device file: /dev/vcio", 255)).throttled == 0x50005


def test_an_empty_tree_says_nothing(tmp_path: Path):
    board = read_board(tmp_path, NONE)
    assert {getattr(board, name) for name in board.__struct_fields__} == {None, 0}


def test_a_pc_names_its_processor_and_its_sensor(tree):
    files = {
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU\n",
        "sys/class/thermal/thermal_zone0/type": "acpitz\n",
        "sys/class/thermal/thermal_zone0/temp": "27800\n",
        "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n",
        "sys/class/thermal/thermal_zone1/temp": "55000\n",
    }
    board = read_board(tree(files), NONE)
    assert (board.cpu, board.cores, board.temperature_c) == ("Some CPU @ 2.00GHz", 2, 55)


def test_this_machine_is_read():
    board = read_board()
    assert board.kernel
    assert board.cores > 0
