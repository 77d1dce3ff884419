#!/usr/bin/env bash
# Builds DIR, a Debian root of this machine's architecture with libcamera and an unmodified picamera2 whose camera is
# libcamera's virtual one, showing FRAME.jpg. Needs root, for chroot, and the Debian package mmdebstrap; half a minute.
set -euo pipefail
root=${1:?usage: picamera_lab.sh DIR FRAME.jpg}; frame=${2:?usage: picamera_lab.sh DIR FRAME.jpg}
here=$(cd "$(dirname "$0")" && pwd); repository=$(cd "$here/../.." && pwd); machine=$(uname -m)
[ -e "$root/opt/.built" ] || {
  mmdebstrap -q --mode=root --variant=minbase \
    --include=python3,python3-libcamera,libcamera-ipa,python3-prctl trixie "$root"
  "${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --target "$root/opt/site" \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" --python-version 3.13 --implementation cp --only-binary=:all: --no-deps \
    picamera2 numpy simplejpeg pillow piexif jsonschema attrs referencing rpds-py jsonschema-specifications tqdm av \
    libarchive-c videodev2 'opencv-python-headless>=4.10,<5' ai-edge-litert flatbuffers ml-dtypes protobuf \
    backports-strenum typing-extensions msgspec
  touch "$root/opt/.built"
}
mkdir -p "$root/opt/lab" "$root/usr/share/libcamera/pipeline/virtual"
cp "$frame" "$root/opt/lab/frame.jpg"
cp "$here/picamera_lab.py" "$root/opt/lab/"
rm -rf "$root/opt/lab/fkp_edge"; cp -r "$repository/fkp_edge" "$root/opt/lab/"
cat > "$root/usr/share/libcamera/pipeline/virtual/virtual.yaml" <<'YAML'
"Virtual0":
  supported_formats:
  - width: 1296
    height: 972
    frame_rates: [30, 60]
  - width: 640
    height: 480
    frame_rates: [30, 60]
  frames:
    path: "/opt/lab/frame.jpg"
  location: "CameraLocationFront"
  model: "Virtual Face Camera"
YAML
