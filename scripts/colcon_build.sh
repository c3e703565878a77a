#!/usr/bin/env bash
# Builds a colcon workspace with medal_ros on ROS 2 Jazzy from apt. Run it in the workspace, the
# folder that holds src/medal_ros; arguments go to colcon build. It makes .venv there for what
# rosdep does not have, on top of apt's Python packages.
set -euo pipefail

refuse() {
  echo "colcon_build: $*" >&2
  exit 1
}

package=src/medal_ros
setup=/opt/ros/jazzy/setup.bash
venv=$PWD/.venv
[ -f $package/package.xml ] || refuse "there is no $package here; run it in the workspace."
[ -f $setup ] || refuse 'ROS 2 Jazzy from apt is needed (Ubuntu 24.04, /opt/ros/jazzy).'
{ command -v colcon && command -v rosdep; } >/dev/null ||
  refuse 'colcon and rosdep are needed: sudo apt-get install ros-dev-tools'

set +u # the script of ROS 2 reads variables that may not be set
# shellcheck disable=SC1090
source $setup
set -u

rosdep install --from-paths src --ignore-src --rosdistro jazzy -y

[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv --system-site-packages "$venv"
touch "$venv/COLCON_IGNORE"
# OpenCV is apt's, which pip does not see.
grep -v '^opencv' $package/requirements/run.txt >"$venv/requirements.txt"
index=()
[ -z "${TORCH_INDEX:-}" ] || index=(--extra-index-url "$TORCH_INDEX")
"$venv/bin/python" -m pip install "${index[@]}" --constraint $package/constraints-apt.txt \
  --requirement "$venv/requirements.txt"

# colcon run by this interpreter, and CMake told of it: the nodes start with it.
"$venv/bin/python" "$(command -v colcon)" build --symlink-install "$@" \
  --cmake-args -DCMAKE_BUILD_TYPE=Release "-DPython3_EXECUTABLE=$venv/bin/python"
echo 'colcon_build: done; now source install/setup.bash'
