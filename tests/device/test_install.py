"""`device/install.sh`: what it would do; and in Debian roots of its own, what it does (`make test-install`)."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEVICE = HERE.parents[1] / "device"
INSTALL = DEVICE / "install.sh"
UNIT = DEVICE / "fkp-edge.service"
ROOTS = os.environ.get("FKP_EDGE_INSTALL_ROOTS", "")
"""Where the roots are, or are to be built; the tests are asked for by naming it."""


def install(*arguments: str, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs install.sh here, or in a root, where pip takes wheels from /wheels only."""
    command = ["chroot", str(root), "/clone/device/install.sh"] if root else [str(INSTALL)]
    environment = {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/wheels",
    }
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )


# everywhere


@pytest.mark.parametrize("shell", ["sh", "bash", "shellcheck"])
def test_the_script_is_a_posix_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    command = [shell, INSTALL] if shell == "shellcheck" else [shell, "-n", INSTALL]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""


needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="install.sh is for Debian")


@needs_apt
def test_a_dry_run_prints_every_step_and_takes_none() -> None:
    done = install("--dry-run", "--source", "v4l2:2")
    assert done.returncode == 0, done.stderr
    steps = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    for step in (
        "pip wheel",
        "-m venv --clear --system-site-packages /opt/fkp-edge/env-NEW",
        "pip install --quiet --no-cache-dir",
        "run --config /etc/fkp-edge/config.toml --source v4l2:2 --check",
        "mv -T /opt/fkp-edge/current.new /opt/fkp-edge/current",
        "fkp-edge.service",
        "config.toml",
    ):
        assert any(step in line for line in steps), step
    assert not Path("/opt/fkp-edge").exists()


@needs_apt
def test_a_dry_run_says_that_apt_is_asked_for_news_first() -> None:
    done = install("--dry-run", "--source", "picamera")
    assert ("+ apt-get update" in done.stdout) == (
        "+ env DEBIAN_FRONTEND=noninteractive apt-get install" in done.stdout
    )


@needs_apt
def test_a_dry_run_of_the_removal() -> None:
    done = install("--uninstall", "--dry-run")
    assert "+ rm -rf /etc/systemd/system/fkp-edge.service" in done.stdout
    assert "kept: /etc/fkp-edge, /var/lib/fkp-edge and the user fkp-edge" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--source"], "--source needs a value; see --help"),
        (["--source", "a;b"], "--source a;b has odd characters; write it into /etc/fkp-edge/config.toml and give"),
        (
            ["--source", "nonsense"],
            "--source nonsense; expected picamera, v4l2:N, config, demo, a URL or an absolute path",
        ),
        (["--source", "v4l2:x"], "--source v4l2:x; expected picamera, v4l2:N, config, demo, a URL or an absolute path"),
        (["--wheel", "none.whl"], "--wheel none.whl does not exist; expected fkp_edge-VERSION-py3-none-any.whl"),
        (["--extras", "wbe"], "--extras wbe; expected some of web,osc,mqtt, or none"),
        (["--wrong"], "unknown option --wrong; see --help"),
        (["--purge"], "--purge goes with --uninstall"),
    ],
)
def test_wrong_options(arguments: list[str], error: str) -> None:
    done = install(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"install.sh: error: {error}")
    assert done.stderr.count("\n") == 1


def test_the_help_lists_every_option() -> None:
    taken = set(re.findall(r"^ *(--[a-z-]+)\)", INSTALL.read_text(), re.MULTILINE))
    assert taken
    assert taken - set(re.findall(r"--[a-z-]+", install("--help").stdout)) == set()


# the unit and the rules


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_unit_names_its_source_and_the_command_takes_its_options() -> None:
    from fkp_edge.cli.command_line import build_parser

    words = unit()["Service"]["ExecStart"].split()
    args = build_parser().parse_args(words[1:])
    assert (words[0], args.source, str(args.config)) == (
        "/opt/fkp-edge/current/bin/fkp-edge",
        "picamera",
        "/etc/fkp-edge/config.toml",
    )


@pytest.fixture
def known_to_systemd(tmp_path: Path) -> Path:
    """The unit with a program that exists: systemd looks."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    path = tmp_path / "fkp-edge.service"
    path.write_text(UNIT.read_text().replace("/opt/fkp-edge/current/bin/fkp-edge", "/bin/true"))
    return path


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_systemd_takes_the_unit(known_to_systemd: Path) -> None:
    assert "fkp-edge.service" not in analyze("verify", known_to_systemd).stderr


def exposure(path: Path) -> float:
    """What systemd gives the unit: 0 is best, 10 worst."""
    said = analyze("security", "--offline=true", path)
    if "unrecognized option" in said.stderr:
        pytest.skip("systemd is older than 250")
    return float(re.search(r"Overall exposure level for fkp-edge.service: ([\d.]+)", said.stdout)[1])


@pytest.mark.parametrize("key", "NoNewPrivileges ProtectHome ProtectSystem PrivateTmp DevicePolicy User".split())
def test_the_unit_would_be_more_exposed_without(key: str, known_to_systemd: Path) -> None:
    hardened = exposure(known_to_systemd)
    unit = known_to_systemd.read_text()
    known_to_systemd.write_text(re.sub(rf"^{key}=.*$", "", unit, flags=re.MULTILINE))
    assert exposure(known_to_systemd) > hardened


def test_the_rules_name_both_ids_of_the_usb_accelerator() -> None:
    from fkp_edge.model.edgetpu import USB_IDS

    rules = (DEVICE / "60-fkp-edge-coral.rules").read_text()
    for vendor, product in USB_IDS:
        assert f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}"' in rules


# in a root


def why_not() -> str:
    if not ROOTS:
        return "make test-install builds Debian roots for it"
    if os.geteuid() != 0:
        return "chroot needs root: sudo make test-install"
    return "" if shutil.which("mmdebstrap") else "needs mmdebstrap: apt install mmdebstrap"


needs_root = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest) -> Path:
    """A Debian root in which fkp-edge is not installed."""
    build = [str(HERE / "install_lab.sh"), ROOTS, request.param]
    environment = os.environ | {"PYTHON": sys.executable}
    built = subprocess.run(build, capture_output=True, text=True, env=environment, timeout=600, check=False)
    if built.returncode:  # no network, most often
        pytest.skip(f"its root cannot be built: {built.stderr.strip()[-300:]}")
    path = Path(ROOTS) / request.param
    install("--uninstall", "--purge", root=path)
    return path


def wheel(root: Path) -> str:
    """The wheel of this clone, as the root names it."""
    return f"/wheels/{next(root.glob('wheels/fkp_edge-0*.whl')).name}"


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was done, without the look at the configuration."""
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("+ ") and not line.endswith("--check")]


def current(root: Path) -> str:
    """The environment that the service starts from."""
    return (root / "opt/fkp-edge/current").readlink().name


def in_root(root: Path, *command: str) -> str:
    done = subprocess.run(["chroot", str(root), *command], capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


@needs_root
def test_installed_twice_then_removed(root: Path) -> None:
    first = install("--wheel", wheel(root), root=root)
    assert first.returncode == 0, first.stderr
    config = root / "etc/fkp-edge/config.toml"
    config.write_text(config.read_text() + "# mine\n")
    assert steps(install("--wheel", wheel(root), root=root)) == []
    assert config.read_text().endswith("# mine\n")
    check_installed(root)
    removed = install("--uninstall", root=root)
    assert removed.returncode == 0, removed.stderr
    left = [root / name for name in ("opt/fkp-edge", "usr/local/bin/fkp-edge", "etc/systemd/system/fkp-edge.service")]
    assert [path for path in left if path.exists() or path.is_symlink()] == []
    assert config.exists()
    assert in_root(root, "getent", "passwd", "fkp-edge")
    assert install("--uninstall", "--purge", root=root).returncode == 0
    assert not config.exists()
    assert in_root(root, "getent", "passwd", "fkp-edge") + in_root(root, "getent", "group", "fkp-edge") == ""


def check_installed(root: Path) -> None:
    """The command runs in the root and sees what apt's picamera2 needs."""
    found = {check["name"]: check for check in json.loads(in_root(root, "fkp-edge", "doctor", "--json"))["checks"]}
    assert {found[name]["status"] for name in ("environment", "NumPy", "TFLite runtime", "model")} == {"ok"}
    assert found["NumPy"]["text"].startswith("1." if root.name == "bookworm" else "2.")
    assert {"video", "plugdev", "apex"} <= set(in_root(root, "id", "-nG", "fkp-edge").split())


in_one_root = pytest.mark.parametrize("root", ["bookworm"], indirect=True)
"""Where the system's release makes no difference: each installation takes ten seconds and more."""


@pytest.fixture(scope="module")
def first(root: Path) -> Iterator[str]:
    """The environment of a first installation from the clone, with a source and an extra; tests go on from it."""
    done = install("--source", "v4l2:1", "--extras", "osc", root=root)
    assert done.returncode == 0, done.stderr
    yield current(root)
    install("--uninstall", "--purge", root=root)


@pytest.fixture(scope="module")
def second(root: Path, first: str) -> str:
    """The environment of an upgrade from a clone that has changed."""
    with (root / "clone/fkp_edge/__init__.py").open("a") as file:
        file.write("# changed\n")
    done = install(root=root)
    assert done.returncode == 0, done.stderr
    return current(root)


def check_chosen(root: Path) -> None:
    """The source and the extra of `first`."""
    started = (root / "etc/systemd/system/fkp-edge.service").read_text()
    assert (
        "ExecStart=/opt/fkp-edge/current/bin/fkp-edge run --config /etc/fkp-edge/config.toml --source v4l2:1\n"
        in started
    )
    assert in_root(root, "/opt/fkp-edge/current/bin/python", "-c", "import pythonosc; print('there')") == "there\n"


@needs_root
def test_the_source_and_the_extras_are_installed(root: Path, first: str) -> None:
    check_chosen(root)


@needs_root
def test_an_upgrade_keeps_the_source_and_the_extras(root: Path, second: str) -> None:
    check_chosen(root)


@needs_root
def test_an_upgrade_stands_beside_the_version_before(root: Path, first: str, second: str) -> None:
    assert first != second
    assert {path.name for path in root.glob("opt/fkp-edge/env-*")} == {first, second}


@needs_root
@in_one_root
def test_an_upgrade_that_fails_changes_nothing_that_runs(root: Path, second: str) -> None:
    (root / "wheels/fkp_edge-9-py3-none-any.whl").write_text("cut off")
    done = install("--wheel", "/wheels/fkp_edge-9-py3-none-any.whl", root=root)
    (root / "wheels/fkp_edge-9-py3-none-any.whl").unlink()
    assert done.returncode == 2
    assert "pip could not install it, see above; what is installed was left as it is" in done.stderr
    assert current(root) == second
    assert in_root(root, "fkp-edge", "--version")


@needs_root
def test_a_configuration_with_an_error_is_told_before_the_switch(root: Path, first: str, second: str) -> None:
    config = root / "etc/fkp-edge/config.toml"
    before = config.read_text()
    config.write_text('sorce = "demo"\n')
    done = install("--wheel", wheel(root), root=root)
    config.write_text(before)
    assert done.returncode == 2
    assert "unknown key 'sorce'; did you mean 'source'?" in done.stderr
    assert current(root) == second


@needs_root
@in_one_root
@pytest.mark.parametrize(
    ("place", "mode", "error"),
    [
        ("etc/fkp-edge/token", 0o600, "cannot read token file /etc/fkp-edge/token: Permission denied"),
        ("home/token", 0o644, 'token_file = "/home/token" is in a folder that the service does not see'),
    ],
)
def test_a_token_that_the_service_cannot_read_is_told(
    root: Path, second: str, place: str, mode: int, error: str
) -> None:
    config, token = root / "etc/fkp-edge/config.toml", root / place
    before = config.read_text()
    token.write_text("x" * 20)
    token.chmod(mode)
    config.write_text(before.replace('token_file = ""', f'token_file = "/{place}"'))
    done = install(root=root)
    config.write_text(before)
    assert done.returncode == 2
    assert error in done.stderr


@needs_root
@in_one_root
def test_a_source_that_nothing_names_any_more_is_told(root: Path, second: str) -> None:
    done = install("--source", "config", root=root)
    install("--source", "v4l2:1", root=root)
    assert "/etc/fkp-edge/config.toml names no source: the demo plays where no camera is found" in done.stderr


@needs_root
@in_one_root
def test_what_a_power_cut_left_half_made_is_made_anew(root: Path, second: str) -> None:
    made = root / "opt/fkp-edge" / second
    (made / ".whole").unlink()
    shutil.rmtree(next(made.glob("lib/python3*/site-packages/msgspec")))
    assert install(root=root).returncode == 0
    assert current(root) == second
    assert in_root(root, "fkp-edge", "--version")


@needs_root
def test_the_version_before_is_there_to_go_back_to(root: Path, first: str, second: str) -> None:
    module = root / "clone/fkp_edge/__init__.py"
    module.write_text(module.read_text().removesuffix("# changed\n"))
    assert not [step for step in steps(install(root=root)) if "pip install" in step]
    assert current(root) == first
