"""Install medal_ros with pip into an environment that has ROS 2 from PyPI.

With ROS 2 from apt, colcon builds this package from CMakeLists.txt and never reads this file.
Here pip runs the same CMakeLists.txt and packs everything that it installs:

    pip install --constraint constraints.txt --requirement requirements/ros.txt \
        --requirement requirements/build.txt
    pip install --constraint constraints.txt --no-build-isolation --editable .
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
NAME = PACKAGE.findtext('name')


class CMakeDistribution(Distribution):
    """A distribution with compiled files that setuptools does not compile itself."""

    def has_ext_modules(self):
        """Make the wheel one for this platform and run build_ext."""
        return True

    def has_data(self):
        """Make editable installs, too, install the data files."""
        return self.has_data_files()


class CMakeBuild(build_ext):
    """Build the ROS package and take what it installs as data files."""

    def run(self):
        """Build into a folder of this environment's own and list what it installed."""
        if not Path(sys.prefix, 'share', 'ament_cmake').is_dir():
            raise SystemExit(
                f'{NAME} needs ROS 2 in {sys.prefix} first: '
                'pip install -c constraints.txt -r requirements/ros.txt -r requirements/build.txt'
            )
        # CMake's cache holds absolute paths of the environment and of its Python.
        key = hashlib.sha256(f'{ROOT}{sys.prefix}{sys.version}'.encode()).hexdigest()[:8]
        build = ROOT / 'build' / f'pip-{key}'
        stage = build / 'stage'
        build.mkdir(parents=True, exist_ok=True)
        (ROOT / 'build' / 'COLCON_IGNORE').touch()  # the stage holds a copy of package.xml
        self._cmake(build, stage)
        self.distribution.data_files += list(data_files(stage))

    @staticmethod
    def _cmake(build, stage):
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get('PATH', '')])
        env = os.environ | {
            'AMENT_PREFIX_PATH': sys.prefix,
            'CMAKE_PREFIX_PATH': sys.prefix,
            'PATH': path,
        }
        # pip hides the environment behind PYTHONPATH; the ROS generators need it back.
        env.pop('PYTHONPATH', None)
        for command in (
            ['cmake', '-S', ROOT, '-B', build, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release',
             '-DBUILD_TESTING=OFF', f'-DCMAKE_INSTALL_PREFIX={stage}',
             f'-DPython3_EXECUTABLE={sys.executable}'],
            ['cmake', '-E', 'rm', '-rf', stage],
            ['cmake', '--build', build, '--target', 'install'],
        ):  # fmt: skip
            subprocess.run(command, check=True, env=env)


def data_files(stage):
    """Yield `(folder, [file])` of what CMake installed and setuptools does not install itself."""
    modules = {path.relative_to(ROOT) for path in (ROOT / NAME).rglob('*.py')}
    for path in sorted(p for p in stage.rglob('*') if p.is_file()):
        target = path.relative_to(stage)
        if target.parts[0] == 'bin':  # the console script takes its place
            continue
        if 'site-packages' in target.parts:
            module = Path(*target.parts[target.parts.index('site-packages') + 1 :])
            if module in modules or module.parts[0] != NAME or path.suffix == '.pyc':
                continue
        yield str(target.parent), [str(path)]


def requirements(name):
    """Return the lines of a requirements file that name a package."""
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name=NAME,
    version=PACKAGE.findtext('version'),
    description=PACKAGE.findtext('description'),
    license=PACKAGE.findtext('license'),
    # Named so that an editable install puts this folder itself on the path.
    package_dir={'': '.'},
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    python_requires='>=3.11',
    install_requires=requirements('run.txt'),
    extras_require={name: requirements(f'{name}.txt') for name in ('console', 'lerobot', 'ray')},
    entry_points={'console_scripts': [f'medal = {NAME}.cli:main']},
    data_files=[],
    distclass=CMakeDistribution,
    cmdclass={'build_ext': CMakeBuild},
    zip_safe=False,
)
