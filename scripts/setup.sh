#!/usr/bin/env bash
# Makes .venv: ROS 2 Jazzy, PyTorch, MuJoCo and this package, editable. Run again it does only
# what has changed. PYTHON chooses the interpreter, TORCH_INDEX a package index for PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
egl_packages=(libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0)

say() { echo "set-up: $*"; }
refuse() {
  say "$*" >&2
  exit 1
}

# Contents, not dates: switching branches back and forth changes nothing.
digest() {
  { pwd; find "$@" -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum; } |
    sha256sum
}
dependencies() { digest requirements constraints.txt; }
package() {
  dependencies
  digest package.xml CMakeLists.txt cmake setup.py pyproject.toml msg srv config launch rviz urdf
}
done_before() { [ "$(cat "$venv/.$1" 2>/dev/null)" = "$("$1")" ]; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
same_python() { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of $venv/bin/python)" ]; }

find_python() {
  local name before
  before=$(sed -n 's/^executable = //p' $venv/pyvenv.cfg 2>/dev/null || true)
  for name in ${PYTHON:-$before python3.11 python3.12 python3.13 python3}; do
    python_version=$(version_of "$name") || continue
    case $python_version in 3.11 | 3.12 | 3.13) python=$name && return ;; esac
  done
  refuse "Python 3.11, 3.12 or 3.13 is needed, and ${PYTHON:-none on the path} is not one" \
    '(PYTHON=/path/to/python chooses it).'
}

check_machine() {
  [ "$(uname -sm)" = 'Linux x86_64' ] ||
    refuse "ROS 2 from PyPI exists for Linux x86_64 only, and this is $(uname -sm)."
  find_python
  if ! { command -v "${CXX:-c++}" && command -v "${CC:-cc}"; } >/dev/null; then
    refuse 'a C++ compiler is needed (Debian and Ubuntu: apt-get install g++).'
  fi
  local missing=()
  "$python" -c 'import ensurepip' 2>/dev/null || missing+=("python$python_version-venv")
  [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    missing+=("python$python_version-dev")
  "$python" scripts/check_egl.py 2>/dev/null || missing+=("${egl_packages[@]}")
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    refuse "the system lacks packages that only root may install: sudo apt-get install $*"
  fi
  say "apt-get install $*"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
    --no-install-recommends "$@" >/dev/null || refuse "apt-get could not install $*."
  "$python" scripts/check_egl.py || refuse 'EGL is installed, and no device of it starts.'
}

# Runs a command into the log; shows its large downloads, and the end of the log if it fails.
logged() {
  local large='Downloading .*\(([0-9]{2,}\.[0-9]+ MB|[0-9.]+ GB)\)'
  if ! "$@" 2>&1 | tee -a "$venv/set-up.log" | { grep --line-buffered -oE "$large" || true; }; then
    tail -n 20 "$venv/set-up.log" >&2
    refuse "this failed: $* (all of it is in $venv/set-up.log)."
  fi
}

make_environment() {
  # An environment knows its own path and Python, so another path or Python needs a new one.
  local made="$PWD $python_version"
  [ "$(cat $venv/.made 2>/dev/null)" = "$made" ] && return
  say "making $venv with Python $python_version"
  "$python" -m venv --clear $venv
  echo "$made" >$venv/.made
}

install_dependencies() {
  done_before dependencies && return
  say 'installing ROS 2, PyTorch, MuJoCo and the rest. What is not on this machine is' \
    'downloaded: PyTorch is 0.2 GB in its CPU build and 2.7 GB with CUDA (docs/install.md says' \
    'how to choose), all the rest 0.3 GB.'
  local index=()
  [ -z "${TORCH_INDEX:-}" ] || index=(--extra-index-url "$TORCH_INDEX")
  # Python's own pip may be years old, and takes half as long again.
  logged $venv/bin/python -m pip install --constraint constraints.txt --upgrade pip
  logged $venv/bin/python -m pip install --no-compile "${index[@]}" --constraint constraints.txt \
    --requirement requirements/ros.txt --requirement requirements/build.txt \
    --requirement requirements/run.txt --requirement requirements/console.txt \
    --requirement requirements/dev.txt
  # On all processors, not on one as pip does, and without other people's tests. Some packages
  # hold templates that are no Python.
  $venv/bin/python -m compileall -q -j 0 -x '/tests?/' $venv/lib >>"$venv/set-up.log" 2>&1 || true
  dependencies >$venv/.dependencies
  say "packages installed after $SECONDS s"
}

install_package() {
  say 'building the interfaces and installing medal_ros'
  logged $venv/bin/python -m pip install --no-build-isolation --no-deps --editable .
  package >$venv/.package
}

# Two calls at once take turns.
exec 9<scripts && flock 9
if ! done_before package || ! same_python; then
  check_machine
  make_environment
  install_dependencies
  install_package
  say "ready after $SECONDS s"
fi
