#!/usr/bin/env bash
# Builds DIR/SUITE, a Debian root of this machine's architecture with apt's Python and NumPy, an empty package in the
# place of Raspberry Pi OS's python3-picamera2, and wheels to install from. Needs root and mmdebstrap; half a minute.
set -euo pipefail
dir=${1:?usage: install_lab.sh DIR bookworm|trixie}; suite=${2:?usage: install_lab.sh DIR bookworm|trixie}
here=$(cd "$(dirname "$0")" && pwd); repository=$(cd "$here/../.." && pwd); machine=$(uname -m)
case $suite in bookworm) python=3.11 numpy='numpy<2' ;; trixie) python=3.13 numpy=numpy ;; *) echo "no suite $suite" >&2; exit 2 ;; esac
mkdir -p "$dir"; root=$(cd "$dir" && pwd)/$suite
[ -e "$root/wheels/.built" ] || {
  rm -rf "$root"
  mmdebstrap -q --mode=root --variant=minbase --include=python3-venv,python3-numpy "$suite" "$root"
  "${PYTHON:-python3}" -m pip download -q --disable-pip-version-check --dest "$root/wheels" \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" --python-version "$python" --implementation cp --only-binary=:all: \
    ai-edge-litert msgspec 'opencv-python-headless>=4.10,<4.12' python-osc hatchling "$numpy"
  # the one that pip would rather take
  [ "$suite" = trixie ] || "${PYTHON:-python3}" -m pip download -q --no-deps --dest "$root/wheels" --python-version 3.11 \
    --platform "manylinux_2_27_$machine" --platform "manylinux_2_28_$machine" --implementation cp --only-binary=:all: numpy
  package=$(mktemp -d)
  mkdir -p "$package/DEBIAN" "$package/usr/lib/python3/dist-packages/picamera2"
  printf '%s\n' 'Package: python3-picamera2' 'Version: 0' 'Architecture: all' 'Maintainer: nobody' \
    'Description: stands in for that of Raspberry Pi OS' > "$package/DEBIAN/control"
  dpkg-deb --build "$package" "$root/wheels/picamera2.deb" > /dev/null
  rm -r "$package"
  chroot "$root" dpkg --install /wheels/picamera2.deb > /dev/null
  # LiteRT asks these what the processor can do; without, it runs without XNNPACK
  mkdir -p "$root/sys/devices/system/cpu"
  cp /proc/cpuinfo "$root/proc/"
  cp /sys/devices/system/cpu/{possible,present} "$root/sys/devices/system/cpu/"
  touch "$root/wheels/.built"
}
rm -rf "$root/clone" "$root"/wheels/fkp_edge-*.whl
mkdir -p "$root/clone/fkp_edge"
cp -r "$repository"/{device,docs,pyproject.toml,README.md,LICENSE,NOTICE} "$root/clone/"
cp -r "$repository"/fkp_edge/. "$root/clone/fkp_edge/"
"${PYTHON:-python3}" -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir "$root/wheels" "$repository"
