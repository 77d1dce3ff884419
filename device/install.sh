#!/bin/sh
# Installs fkp-edge as a service on Debian 12 or 13, or the Raspberry Pi OS made from it. Run it again to upgrade.
#
#   sudo device/install.sh [--source NAME] [--wheel FILE] [--extras web,osc,mqtt] [--no-start] [--dry-run]
#   sudo device/install.sh --uninstall [--purge] [--dry-run]
#
# --source     picamera (the default), v4l2:N ...: what the service films; config: what config.toml says
# --wheel      a wheel to install; without, one is built from this clone
# --extras     optional parts; none takes them away. It and --source hold until others are given
# --no-start   install, but do not start
# --dry-run    print what would be done
# --uninstall  take away all but /etc/fkp-edge, /var/lib/fkp-edge and the user that owns it; --purge takes those, too
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
clone=$(dirname "$here")
home=/opt/fkp-edge
config=/etc/fkp-edge/config.toml
state=/var/lib/fkp-edge
unit=/etc/systemd/system/fkp-edge.service
rules=/etc/udev/rules.d/60-fkp-edge-coral.rules
link=/usr/local/bin/fkp-edge
# what was chosen last, for the next run of this script
chosen=$home/.chosen
# an environment that is whole has this file
whole=.whole

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
          --source) source=$2 && check_source "$2" ;;
          --wheel) wheel=$2 ;;
          --extras) extras=$2 && check_extras "$2" ;;
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
  [ -z "$wheel" ] || [ -f "$wheel" ] || fail "--wheel $wheel does not exist; expected fkp_edge-VERSION-py3-none-any.whl"
  [ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall"
}

check_source() {
  # it goes into a unit file and through sed
  case $1 in
    *[!A-Za-z0-9:/._-]*) fail "--source $1 has odd characters; write it into $config and give --source config" ;;
    picamera | config | demo | v4l2:[0-9] | v4l2:[0-9][0-9] | ?*://?* | gray:?*:/* | yuv420:?*:/* | /*) ;;
    *) fail "--source $1; expected picamera, v4l2:N, config, demo, a URL or an absolute path" ;;
  esac
}

# pip only warns of one that it does not know.
check_extras() {
  echo "$1" | grep -Eqx 'none|(web|osc|mqtt)(,(web|osc|mqtt))*' || fail "--extras $1; expected some of web,osc,mqtt, or none"
}

check_system() {
  [ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail "it writes to /opt and /etc; run it with sudo, or look with --dry-run"
  command -v apt-get >/dev/null || fail "no apt-get; expected Debian 12 or 13, or Raspberry Pi OS bookworm or trixie"
  [ "$(getconf LONG_BIT)" = 64 ] || fail "this system is 32-bit, and LiteRT has no wheel for it; write the 64-bit Raspberry Pi OS to the card"
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# What is not given now is as it was.
remember() {
  if [ -f $chosen ]; then
    source=${source:-$(sed -n 's/^source=//p' $chosen)}
    extras=${extras:-$(sed -n 's/^extras=//p' $chosen)}
  fi
  source=${source:-picamera}
  extras=${extras:-none}
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
  run apt-get update -q
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

make_user() {
  getent group apex >/dev/null || run groupadd --system apex
  getent group plugdev >/dev/null || run groupadd --system plugdev
  getent group fkp-edge >/dev/null || run groupadd --system fkp-edge
  getent passwd fkp-edge >/dev/null ||
    run useradd --system --gid fkp-edge --no-create-home --home-dir $state --shell /usr/sbin/nologin fkp-edge
  case " $(id -nG fkp-edge 2>/dev/null) " in
    *' apex '*) ;;
    *) run usermod --append --groups video,plugdev,apex fkp-edge ;;
  esac
  [ -d $state ] || run install -d -o fkp-edge -g fkp-edge -m 750 $state
}

# With pip of an environment that holds nothing else.
build_wheel() {
  # not there, half made, or of a Python that a new release of the system replaced
  if ! $home/build/bin/pip --version >/dev/null 2>&1; then
    run /usr/bin/python3 -m venv --clear $home/build
  fi
  run $home/build/bin/pip wheel --quiet --no-deps --no-cache-dir --wheel-dir "$work" "$clone" ||
    fail "no wheel could be built, see above; what is installed was left as it is"
  for wheel in "$work"/*.whl; do :; done
}

# apt's picamera2 and simplejpeg work with the NumPy that they were built for only.
numpy_of_system() {
  if is_installed python3-picamera2 && [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 -c "import numpy; print('numpy<2' if numpy.__version__ < '2' else 'numpy')"
  else
    echo numpy
  fi
}

# Sets `environment` to one that holds what is wanted, made beside those that are there: one that runs is never changed.
make_environment() {
  [ -n "$wheel" ] || build_wheel
  numpy=$(numpy_of_system)
  parts=''
  [ "$extras" = none ] || parts="[$extras]"
  key=NEW
  if [ -f "$wheel" ]; then
    python=$(/usr/bin/python3 -c 'import sys; print(sys.version_info[:2])')
    key=$(echo "$(sha256sum <"$wheel") $parts $numpy $python" | sha256sum | cut -c1-12)
  fi
  environment=$home/env-$key
  [ ! -f "$environment/$whole" ] || return 0
  run /usr/bin/python3 -m venv --clear --system-site-packages "$environment"
  run "$environment/bin/pip" install --quiet --no-cache-dir "$wheel$parts" "$numpy" ||
    fail "pip could not install it, see above; what is installed was left as it is"
  # a power cut must not leave the mark without what it stands for
  run sync -f "$environment"
  run touch "$environment/$whole"
}

# FILE PLACE: through a temporary file, so that a power cut leaves the old one or the new one.
place() {
  if cmp -s "$1" "$2"; then return; fi
  run install -D -m 644 "$1" "$2.new"
  run sync "$2.new"
  run mv "$2.new" "$2"
}

place_config() {
  if [ -f $config ]; then
    say "$config is kept"
    return
  fi
  what='# source: the service names it; sudo device/install.sh --source NAME changes that'
  cp "$here/config.toml" "$work/config"
  [ "$source" = config ] || sed -i "s|^source = .*|$what|" "$work/config"
  place "$work/config" $config
}

# Of the new version, before anything that runs is touched, and as the service will: its user, its folder, its source,
# nothing of this shell's environment.
check_config() {
  # shellcheck disable=SC2046 # two words, or none
  set -- setpriv --reuid fkp-edge --regid fkp-edge --init-groups \
    env -i --chdir=$state HOME=$state PATH=/usr/local/bin:/usr/bin:/bin \
    "$environment/bin/fkp-edge" run --config $config $(source_option)
  run "$@" --check ||
    fail "the service could not start with $config; what is installed was left as it is: correct it and run this again"
  [ -z "$dry" ] || return 0
  settings=$("$@" --print-config)
  hidden=$(echo "$settings" | grep -E '("|:|://)/(home|root|run/user|tmp|var/tmp)/' | head -n 1)
  [ -z "$hidden" ] ||
    fail "$hidden is in a folder that the service does not see; move it to /etc/fkp-edge or $state and correct $config"
  if echo "$settings" | grep -qx 'source = "auto"'; then
    say "$config names no source: the demo plays where no camera is found; write source = \"...\" into it"
  fi
}

# From here on the new version is what starts. What the one before needs stays beside it.
switch() {
  former=$(readlink $home/current || true)
  if [ "$former" != "${environment##*/}" ]; then
    run ln -sfn "${environment##*/}" $home/current.new
    run mv -T $home/current.new $home/current
  fi
  sed "s| --source picamera|$(source_option)|" "$here/fkp-edge.service" >"$work/unit"
  place "$work/unit" $unit
  place "$here/60-fkp-edge-coral.rules" $rules
  place "$clone/docs/operations.md" $home/share/operations.md
  printf 'source=%s\nextras=%s\n' "$source" "$extras" >"$work/chosen"
  place "$work/chosen" $chosen
  [ "$(readlink $link)" = $home/current/bin/fkp-edge ] || run ln -sf $home/current/bin/fkp-edge $link
}

# Nothing runs from environments before the former one any more.
tidy() {
  [ "$former" != "${environment##*/}" ] || return 0
  for old in "$home"/env-*; do
    case ${old##*/} in "${environment##*/}" | "$former" | 'env-*') ;; *) run rm -rf "$old" ;; esac
  done
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
  if ! is_booted_with_systemd; then
    say "systemd does not run here: the service is not started"
    tidy
  elif [ -n "$start" ]; then
    run systemctl enable fkp-edge
    run systemctl restart fkp-edge ||
      fail "the service does not start, systemd goes on trying; journalctl -u fkp-edge -n 20 says why"
    say "running; see it: fkp-edge status, journalctl -u fkp-edge"
    tidy
  fi
  [ -n "$dry" ] || say "installed; check this device: sudo -u fkp-edge fkp-edge doctor"
}

uninstall() {
  if is_booted_with_systemd && [ -f $unit ]; then run systemctl disable --now fkp-edge; fi
  run rm -rf $unit $rules $link $home
  reload
  if [ -z "$purge" ]; then
    say "kept: $(dirname $config), $state and the user fkp-edge that owns it; --purge takes them, too"
    return
  fi
  run rm -rf "$(dirname $config)" $state
  # userdel takes the group with it, unless others are in it
  if getent passwd fkp-edge >/dev/null; then run userdel fkp-edge; fi
  if getent group fkp-edge >/dev/null; then run groupdel fkp-edge; fi
  say "kept: the groups apex and plugdev, which other programs use; packages from apt"
}

main() {
  parse "$@"
  check_system
  if [ -n "$uninstall" ]; then
    uninstall
    return
  fi
  remember
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  install_packages
  check_python
  make_user
  make_environment
  place_config
  check_config
  switch
  reload
  start_service
}

main "$@"
