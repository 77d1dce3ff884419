"""The disks of the virtual machine: Debian with a kernel, built once for each list of packages, and the kit to install.

Needs root, mmdebstrap, e2fsprogs and a network while it builds; the guest has none.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from .pictures import write_pictures

__all__ = ["Image", "build_image", "build_kit", "image_key", "missing", "run", "warm"]

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Of Debian, and the Python in each."""
NEEDED = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}
"""Programs, and the package that has each."""
RUNNERS = {
    "qemu-system-x86_64": {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"},
    "systemd-nspawn": {"systemd-nspawn": "systemd-container", "mkfs.btrfs": "btrfs-progs"},
}
"""The same for what a machine needs, and a container."""
PACKAGES = (
    "linux-image-amd64 systemd systemd-sysv udev dbus polkitd kmod initramfs-tools e2fsprogs procps sudo iproute2 "
    "python3 python3-venv python3-numpy v4l-utils psmisc mosquitto"
)
"""python3-venv is what the installer would fetch, the rest is the system and what looks at it."""
FOLDERS = ("device", "fkp_edge")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "docs/operations.md")
"""What of this clone the guest gets."""
MODELS = ("keypoints-int8.tflite", "keypoints-small-int8.tflite")
"""Two files to change between."""
IMAGE_MB = 3072
KIT_MB = 512
WHOLE = ".whole"
"""A folder that was built to its end has this file."""

AGENT_UNIT = """\
[Unit]
Description=commands for the guest
RequiresMountsFor=/box
[Service]
ExecStart=/usr/bin/python3 -u /box/agent.py /dev/virtio-ports/box
OOMScoreAdjust=-1000
[Install]
WantedBy=multi-user.target
"""
CUSTOMIZE = """\
set -eu
root=$1
install -D -m 644 "$BOX/agent.service" "$root/etc/systemd/system/agent.service"
chroot "$root" systemctl enable agent.service
chroot "$root" systemctl disable mosquitto.service || true
# what would cost an emulated machine a minute at its first start, and is not what is looked at
chroot "$root" systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_reap.service
touch "$root/etc/.updated" "$root/var/.updated"
mkdir -p "$root/box" "$root/var/log/journal"
echo '/dev/vdb /box ext4 ro,nofail 0 0' > "$root/etc/fstab"
echo box > "$root/etc/hostname"
echo MODULES=list > "$root/etc/initramfs-tools/conf.d/box"
printf '%s\\n' virtio_pci virtio_blk ext4 crc32c >> "$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u
cp "$root"/boot/vmlinuz-* "$BOX/vmlinuz"
cp "$root"/boot/initrd.img-* "$BOX/initrd.img"
"""


@dataclass(frozen=True)
class Image:
    """A system that boots."""

    suite: str
    folder: Path
    root: Path
    """The disk, raw; machines write to copies on top of it."""

    @property
    def kernel(self) -> Path:
        """The guest's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """What the kernel mounts the disk with."""
        return self.folder / "initrd.img"


def run(*command: object) -> None:
    """Runs a program here; its words may be paths."""
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)


def missing(runner: str, *, is_root: bool) -> list[str]:
    """What is not here that a run needs, each with its remedy."""
    needed = RUNNERS[runner] | NEEDED
    absent = [f"{name} (apt install {package})" for name, package in needed.items() if shutil.which(name) is None]
    return absent + ([] if is_root else ["root (sudo make test-vm)"])


def image_key(suite: str) -> str:
    """Changes with all that an image is made of but Debian's own state."""
    parts = (suite, PACKAGES, AGENT_UNIT, CUSTOMIZE, str(IMAGE_MB))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build_image(suite: str, cache: Path) -> Image:
    """The image of `suite` in `cache`, built where it is not there yet: some minutes."""
    folder = cache / f"{suite}-{image_key(suite)}"
    if not (folder / WHOLE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "agent.service").write_text(AGENT_UNIT)
        hook = folder / "customize.sh"
        hook.write_text(CUSTOMIZE)
        tree = folder / "tree"
        run(
            *("env", f"BOX={folder.resolve()}", "mmdebstrap", "-q", "--mode=root", "--variant=minbase"),
            *("--format=directory", f"--include={','.join(PACKAGES.split())}"),
            *(f'--customize-hook=sh {hook.resolve()} "$1"', suite, tree),
        )
        run("mke2fs", "-q", "-t", "ext4", "-d", tree, folder / "root.img", f"{IMAGE_MB}M")
        shutil.rmtree(tree)
        (folder / WHOLE).touch()
    return Image(suite, folder, folder / "root.img")


def _wheels(suite: str, wheel: Path, cache: Path) -> Path:
    """The folder of wheels that `wheel` needs under the suite's Python, and of what builds one."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = repr(
        (project["project"]["dependencies"], project["project"]["optional-dependencies"], project["build-system"])
    )
    folder = cache / f"wheels-{suite}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not (folder / WHOLE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (28, 27, 17)] + [
            "--platform=manylinux2014_x86_64"
        ]
        run(
            *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--dest", folder),
            *(*platforms, f"--python-version={SUITES[suite]}", "--implementation=cp", "--only-binary=:all:"),
            *(f"{wheel}[web,osc,mqtt]", "hatchling"),
        )
        for built in folder.glob("fkp_edge-*.whl"):
            built.unlink()
        (folder / WHOLE).touch()
    return folder


def _build_wheel(clone: Path, place: Path) -> Path:
    pip = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
    )
    run(*pip, "--wheel-dir", place, clone)
    return next(place.glob("fkp_edge-*.whl"))


def build_kit(suite: str, cache: Path) -> Path:
    """The second disk, `/box` in the guest: a clone, wheels of three versions, what they need, pictures and models.

    Its name tells its content, and it is built where it is not there yet.
    """
    parts = [*(REPOSITORY / name for name in FILES), HERE / "agent.py", HERE / "pictures.py"]
    parts += [path for name in FOLDERS for path in sorted((REPOSITORY / name).rglob("*")) if path.is_file()]
    contents = (path.read_bytes() for path in parts if "__pycache__" not in path.parts)
    folder = cache / f"kit-{suite}-{hashlib.sha256(b''.join(contents)).hexdigest()[:12]}"
    disk = folder.with_name(f"{folder.name}.img")
    if disk.exists():
        return disk
    for old in cache.glob(f"kit-{suite}-*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    clone = folder / "clone"
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "docs").mkdir()
    for name in FILES:
        shutil.copy(REPOSITORY / name, clone / name)
    wheel = _build_wheel(clone, folder / "now")
    following = folder / "following"
    shutil.copytree(clone, following)
    module = following / "fkp_edge/__init__.py"
    module.write_text(re.sub(r'__version__ = "([^"]+)"', r'__version__ = "\1.post1"', module.read_text()))
    _build_wheel(following, folder / "next")
    shutil.rmtree(following)
    (folder / "broken").mkdir()
    (folder / "broken" / wheel.name).write_bytes(wheel.read_bytes()[: wheel.stat().st_size // 2])
    shutil.copytree(_wheels(suite, wheel, cache), folder / "wheels")
    shutil.copy(HERE / "agent.py", folder)
    write_pictures(folder / "pictures")
    (folder / "models").mkdir()
    for name in MODELS:
        shutil.copy(clone / "fkp_edge/model/shipped" / name, folder / "models")
    made = disk.with_suffix(".new")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, made, f"{KIT_MB}M")
    made.rename(disk)
    return disk


def warm(image: Image, kit: Path, cache: Path) -> Image:
    """The image with the environments that pip makes of both wheels, made here by the installer itself.

    Emulated, pip takes half an hour on a busy machine. All else that the installer does is taken away again: the guest
    finds what an installation leaves that was cut off after its longest step, and goes on from there.
    """
    wheels = (folder / "*.whl" for folder in (kit.with_suffix("") / "now", kit.with_suffix("") / "next"))
    contents = [next(pattern.parent.glob(pattern.name)).read_bytes() for pattern in wheels]
    key = hashlib.sha256(b"\0".join([image.folder.name.encode(), *contents])).hexdigest()[:12]
    disk = cache / f"device-{image.suite}-{key}.img"
    if not disk.exists():
        for old in cache.glob(f"device-{image.suite}-*.img"):
            old.unlink()
        made = disk.with_suffix(".new")
        run("cp", "--sparse=always", image.root, made)
        _install_in(made, kit)
        made.rename(disk)
    return replace(image, root=disk)


def _install_in(disk: Path, kit: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="box-"))
    mounts = (("-o", "loop", disk, root), ("-o", "loop,ro", kit, root / "box"), ("-t", "proc", "proc", root / "proc"))
    with ExitStack() as stack:
        stack.callback(root.rmdir)
        for words in mounts:
            run("mount", *words)
            stack.callback(run, "umount", words[-1])
        script = "/box/clone/device/install.sh"
        for wheel in ("next", "now"):
            _inside(root, f"{script} --no-start --source v4l2:0 --extras web,mqtt --wheel /box/{wheel}/*.whl")
        _inside(root, "mv /opt/fkp-edge/env-* /root/")
        _inside(root, f"{script} --uninstall --purge")
        _inside(root, "mkdir /opt/fkp-edge && mv /root/env-* /opt/fkp-edge/")
        _inside(root, "echo 127.0.0.1 localhost box > /etc/hosts")


def _inside(root: Path, command: str) -> None:
    run("chroot", root, "env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/box/wheels", "sh", "-c", command)
