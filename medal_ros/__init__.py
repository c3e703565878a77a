"""Python modules of medal_ros; the generated msg and srv modules join them here."""

from pkgutil import extend_path

# The interfaces are generated into an installation prefix. When this package is imported
# from the source tree, look for medal_ros.msg there as well.
__path__ = extend_path(__path__, __name__)
