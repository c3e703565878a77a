"""Where the files that are not Python lie: configurations, launch files, robot descriptions."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = 'medal_ros'


def share(*parts: str) -> Path:
    """Return the path of a file or folder that belongs to the package, e.g. `share('config')`.

    A source tree comes first: an editable install copies these files when it is made, and the
    copies would hide later edits. Then the ament index, which sourcing a workspace sets up; then
    the environment of this Python, which a plain `pip install` needs nothing sourced for.

    Raises:
        FileNotFoundError: The package was installed without it.
    """
    folder = _share_folder()
    path = folder.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(
            f'{"/".join(parts)} is not among the files of {PACKAGE} in {folder}'
        )
    return path


def rviz_configuration(namespace: str) -> str:
    """Return RViz's configuration with the panel of the graph in a namespace.

    Topics can be renamed from outside; which graph the panel looks at only stands in there.
    """
    text = share('rviz', 'medal.rviz').read_text()
    return text.replace('Namespace: medal\n', f'Namespace: {namespace}\n')


def _share_folder() -> Path:
    source = Path(__file__).parent.parent
    if (source / 'package.xml').is_file():
        return source
    # Not above: a source tree needs no ROS to learn and to be measured.
    from ament_index_python import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory(PACKAGE))
    except (PackageNotFoundError, OSError):  # OSError: AMENT_PREFIX_PATH is not set
        return Path(sys.prefix, 'share', PACKAGE)
