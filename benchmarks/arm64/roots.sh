#!/usr/bin/env bash
# Builds ROOTS, what counting instructions needs: `bookworm` and `trixie`, the userlands of Raspberry Pi OS 12 and 13 with
# the device's wheels, and `insn.so`, the counting plugin. What is there is kept. On Debian, as root: a minute, 700 MB.
set -euo pipefail
roots=${1:?usage: roots.sh ROOTS}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

fail() { echo "roots.sh: $*" >&2; exit 2; }
need() { command -v "$1" > /dev/null || fail "$1 is missing; apt install $2"; }
built() { [ -e "$roots/$1/.built" ] && [ -e "$roots/$1/opt/site/.built" ]; }

need qemu-aarch64 qemu-user
need setarch util-linux
if ! built bookworm || ! built trixie; then
  need mmdebstrap mmdebstrap
  need "$python" python3
  [ "$(id -u)" = 0 ] || fail "building a userland needs root; sudo make bench-arm64"
  wheel=$(mktemp -d)
  trap 'rm -rf "$wheel"' EXIT
  "$python" -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir "$wheel" "$here/../.."
  for name in bookworm trixie; do
    echo "building $roots/$name" >&2
    PYTHON=$python "$here/../../tests/arm64/userland.sh" "$roots" "$name" "$wheel"/*.whl
  done
fi
[ -w "$roots/bookworm/proc/cpuinfo" ] || fail "$roots/bookworm/proc/cpuinfo is another user's; sudo make bench-arm64"
if [ "$here/count.c" -nt "$roots/insn.so" ]; then
  need gcc gcc
  gcc -O2 -fPIC -shared -o "$roots/insn.so" "$here/count.c"
fi
