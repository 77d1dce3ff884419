#!/usr/bin/env bash
# Builds DIR/NAME, an arm64 userland that runs under qemu-user, with this project's wheel and what it asks for from
# aarch64 wheels only. NAME: bookworm (Python 3.11, NumPy 1 as apt's picamera2 wants it), trixie (3.13, NumPy 2) or
# tflite (bookworm with tflite-runtime in LiteRT's place). Needs root, mmdebstrap and qemu-user.
set -euo pipefail
use="usage: userland.sh DIR bookworm|trixie|tflite FKP_EDGE.whl"
dir=${1:?$use}; name=${2:?$use}; wheel=$(realpath "${3:?$use}")
case $name in
  bookworm) suite=bookworm site=site python=3.11 numpy='numpy<2' ;;
  tflite) suite=bookworm site=tflite python=3.11 numpy='numpy<2' ;;
  trixie) suite=trixie site=site python=3.13 numpy=numpy ;;
  *) echo "$use" >&2; exit 2 ;;
esac
mkdir -p "$dir"; root=$(cd "$dir" && pwd)/$suite; site=$root/opt/$site
[ -e "$root/.built" ] || {
  rm -rf "$root"
  mmdebstrap -q --mode=root --variant=extract --arch=arm64 \
    --include=base-files,python3-minimal,libpython3-stdlib,libc-bin,libstdc++6 "$suite" "$root"
  # LiteRT asks these what the processor can do; with the host's it crashes or leaves XNNPACK out
  mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
  echo 0-3 | tee "$root/sys/devices/system/cpu/present" > "$root/sys/devices/system/cpu/possible"
  touch "$root/.built"
}
# here and not above: benchmarks/emulated_pi.py leaves another core's
printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' \
  0 1 2 3 > "$root/proc/cpuinfo"
get() {
  "${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --target "$site" --upgrade --python-version "$python" \
    --implementation cp --only-binary=:all: --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "$@"
}
[ -e "$site/.built" ] || {
  rm -rf "$site"
  if [ "$name" = tflite ]; then
    get "$numpy" 'opencv-python-headless>=4.10,<4.12' msgspec 'tflite-runtime==2.14.0'
    get --no-deps "$wheel"
  else
    get "$numpy" "$wheel"
  fi
  touch "$site/.built"
}
rm -rf "$site"/fkp_edge "$site"/fkp_edge-*
get --no-deps "$wheel"
# What Python takes for itself when it starts another, as doctor does: the kernel cannot run arm64 programs.
cat > "$root/opt/$name-python" << END
#!/bin/sh
exec qemu-aarch64 -0 "\$0" -L $root -cpu cortex-a72 -E PYTHONPATH=$site -E PYTHONHOME=$root/usr $root/usr/bin/python3 "\$@"
END
chmod +x "$root/opt/$name-python"
