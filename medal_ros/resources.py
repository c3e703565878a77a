"""Where the files that are not Python lie: configurations, launch files, robot descriptions."""

from __future__ import annotations

import sys
from pathlib import Path

from ament_index_python import PackageNotFoundError, get_package_share_directory

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


def _share_folder() -> Path:
    source = Path(__file__).parent.parent
    if (source / 'package.xml').is_file():
        return source
    try:
        return Path(get_package_share_directory(PACKAGE))
    except (PackageNotFoundError, OSError):  # OSError: AMENT_PREFIX_PATH is not set
        return Path(sys.prefix, 'share', PACKAGE)
