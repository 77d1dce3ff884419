#!/bin/sh
# Installs fkp-edge as a service on Debian 12 or 13, or the Raspberry Pi OS made from it. Run it again to upgrade.
#
#   sudo device/install.sh [--source NAME] [--wheel FILE] [--extras web,osc,mqtt] [--no-start] [--dry-run]
#   sudo device/install.sh --uninstall [--purge] [--dry-run]
#
# --source     picamera (the default), v4l2:N ...: what the service films; config: what config.toml says
# --wheel      a wheel to install; without, one is built from this clone
# --no-start   install, but do not start
# --dry-run    print what would be done
# --uninstall  take away all but /etc/fkp-edge and /var/lib/fkp-edge; --purge takes those, too
set -eu

here=$(cd "$(dirname "$0")" && pwd)
clone=$(dirname "$here")
home=/opt/fkp-edge
config=/etc/fkp-edge/config.toml
state=/var/lib/fkp-edge
unit=/etc/systemd/system/fkp-edge.service
rules=/etc/udev/rules.d/60-fkp-edge-coral.rules
link=/usr/local/bin/fkp-edge

fail() {
  echo "install.sh: error: $*" >&2
  exit 2
}

usage() {
  sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//p}' "$0"
}

say() {
  echo "install.sh: $*" >&2
}

# Prints the command, and runs it unless --dry-run is given.
run() {
  echo "+ $*"
  [ -n "$dry" ] || "$@"
}

parse() {
  dry='' source='' wheel='' extras='' start=yes uninstall='' purge=''
  while [ $# -gt 0 ]; do
    case $1 in
      --source | --wheel | --extras)
        [ $# -gt 1 ] || fail "$1 needs a value; see --help"
        case $1 in
          --source) source=$2 ;;
          --wheel) wheel=$2 ;;
          --extras) extras="[$2]" ;;
        esac
        shift
        ;;
      --no-start) start='' ;;
      --dry-run) dry=yes ;;
      --uninstall) uninstall=yes ;;
      --purge) purge=yes ;;
      -h | --help) usage && exit 0 ;;
      *) fail "unknown option $1; see --help" ;;
    esac
    shift
  done
  # it goes into a unit file and through sed
  case $source in *[!A-Za-z0-9:/._-]*) fail "--source $source has odd characters; write it into $config and give --source config" ;; esac
  case $extras in *[!][a-z,]*) fail "--extras $extras; expected some of web,osc,mqtt" ;; esac
  [ -z "$wheel" ] || [ -f "$wheel" ] || fail "--wheel $wheel does not exist; expected fkp_edge-VERSION-py3-none-any.whl"
  [ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall"
}

check_system() {
  [ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail "it writes to /opt and /etc; run it with sudo, or look with --dry-run"
  command -v apt-get >/dev/null || fail "no apt-get; expected Debian 12 or 13, or Raspberry Pi OS bookworm or trixie"
  [ "$(getconf LONG_BIT)" = 64 ] || fail "this system is 32-bit, and LiteRT has no wheel for it; write the 64-bit Raspberry Pi OS to the card"
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Of the installed unit, so that an upgrade keeps what was chosen.
installed_source() {
  if [ -f $unit ]; then
    found=$(sed -n 's/^ExecStart=.* --source \([^ ]*\).*/\1/p' $unit)
    echo "${found:-config}"
  else
    echo picamera
  fi
}

# The option that the service is started with; none where the configuration names the source.
source_option() {
  [ "$source" = config ] || echo " --source $source"
}

install_packages() {
  packages=''
  wanted="python3 python3-venv"
  [ "$source" != picamera ] || wanted="$wanted python3-picamera2"
  for package in $wanted; do
    is_installed "$package" || packages="$packages $package"
  done
  [ -n "$packages" ] || return 0
  if [ -z "$dry" ]; then apt-get update -q; fi
  case $packages in
    *picamera2*)
      apt-cache show python3-picamera2 >/dev/null 2>&1 || [ -n "$dry" ] ||
        fail "apt has no python3-picamera2, which Raspberry Pi OS brings; elsewhere name a --source such as v4l2:0"
      ;;
  esac
  # shellcheck disable=SC2086 # a list of words
  run env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages
}

check_python() {
  [ -n "$dry" ] && [ ! -x /usr/bin/python3 ] && return
  /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$(/usr/bin/python3 --version) is too old, expected 3.11 or later: Raspberry Pi OS bookworm or trixie"
}

# apt's picamera2 and simplejpeg work with the NumPy that they were built for only.
numpy_of_system() {
  if is_installed python3-picamera2; then
    /usr/bin/python3 -c "import numpy; print('numpy<2' if numpy.__version__ < '2' else 'numpy')"
  else
    echo numpy
  fi
}

install_package() {
  # not there, half made, or of a Python that a new release of the system replaced
  if ! $home/bin/pip --version >/dev/null 2>&1; then
    run /usr/bin/python3 -m venv --clear --system-site-packages $home
  fi
  if [ -z "$wheel" ]; then
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    run $home/bin/pip wheel --quiet --no-deps --no-cache-dir --wheel-dir "$built" "$clone"
    for wheel in "$built"/*.whl; do :; done
  fi
  new=$([ -n "$dry" ] || sha256sum "$wheel" | cut -d' ' -f1)$extras
  if [ -z "$dry" ] && [ "$(cat $home/.installed 2>/dev/null)" = "$new" ]; then
    say "this wheel is installed already"
    return
  fi
  [ -n "$dry" ] || numpy_of_system >$home/constraints.txt
  run $home/bin/pip install --quiet --no-cache-dir -c $home/constraints.txt "$wheel$extras"
  # the same version, built from changed files, is another one
  run $home/bin/pip install --quiet --no-deps --force-reinstall "$wheel"
  [ -n "$dry" ] || echo "$new" >$home/.installed
}

make_user() {
  getent group apex >/dev/null || run groupadd --system apex
  getent group plugdev >/dev/null || run groupadd --system plugdev
  getent passwd fkp-edge >/dev/null ||
    run useradd --system --user-group --no-create-home --home-dir $state --shell /usr/sbin/nologin fkp-edge
  case " $(id -nG fkp-edge 2>/dev/null) " in
    *' apex '*) ;;
    *) run usermod --append --groups video,plugdev,apex fkp-edge ;;
  esac
}

# FILE PLACE: through a temporary file, so that a power cut leaves the old one or the new one.
place() {
  if cmp -s "$1" "$2"; then return; fi
  run install -D -m 644 "$1" "$2.new"
  run sync "$2.new"
  run mv "$2.new" "$2"
}

install_files() {
  made=$(mktemp)
  sed "s| --source picamera|$(source_option)|" "$here/fkp-edge.service" >"$made"
  place "$made" $unit
  place "$here/60-fkp-edge-coral.rules" $rules
  place "$clone/docs/operations.md" $home/share/operations.md
  if [ -f $config ]; then
    say "$config is kept"
  else
    what='# source: the service names it; sudo device/install.sh --source NAME changes that'
    if [ "$source" = config ]; then cat "$here/config.toml"; else sed "s|^source = .*|$what|" "$here/config.toml"; fi >"$made"
    place "$made" $config
  fi
  rm -f "$made"
  [ -d $state ] || run install -d -o fkp-edge -g fkp-edge -m 750 $state
  [ "$(readlink $link)" = $home/bin/fkp-edge ] || run ln -sf $home/bin/fkp-edge $link
}

is_booted_with_systemd() {
  [ -d /run/systemd/system ]
}

reload() {
  if [ -S /run/udev/control ]; then
    run udevadm control --reload
    run udevadm trigger --subsystem-match=usb --subsystem-match=apex
  fi
  if is_booted_with_systemd; then run systemctl daemon-reload; fi
}

start_service() {
  # before the service is touched: a configuration with an error must not stop the one that runs
  run $link run --config $config --check
  if ! is_booted_with_systemd; then
    say "systemd does not run here: the service is installed, not started"
  elif [ -n "$start" ]; then
    run systemctl enable fkp-edge
    run systemctl restart fkp-edge
    say "running; see it: fkp-edge status, journalctl -u fkp-edge"
  fi
  say "installed; check this device: sudo -u fkp-edge fkp-edge doctor"
}

uninstall() {
  if is_booted_with_systemd && [ -f $unit ]; then run systemctl disable --now fkp-edge; fi
  run rm -rf $unit $rules $link $home
  reload
  if getent passwd fkp-edge >/dev/null; then run userdel fkp-edge; fi
  if [ -n "$purge" ]; then
    run rm -rf "$(dirname $config)" $state
  else
    say "kept: $(dirname $config) and $state; --purge takes them, too"
  fi
}

main() {
  parse "$@"
  check_system
  if [ -n "$uninstall" ]; then
    uninstall
    return
  fi
  source=${source:-$(installed_source)}
  install_packages
  check_python
  install_package
  make_user
  install_files
  reload
  start_service
}

main "$@"
