"""Exit with 0 if this machine can render without a display: some EGL device starts.

MuJoCo renders with the first device that does. Standard library only, so that it runs before
anything is installed.
"""

import ctypes
import sys

PLATFORM_DEVICE = 0x313F  # EGL_PLATFORM_DEVICE_EXT
MAX_DEVICES = 16


def extension(egl: ctypes.CDLL, name: bytes, result: type, *arguments: type):
    """Return a function of an EGL extension; raises OSError where there is none."""
    address = egl.eglGetProcAddress(name)
    if not address:
        raise OSError(f'no {name.decode()}')
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def some_device_starts() -> bool:
    """Return whether a context could be made; raises OSError where a library is missing."""
    pointer = ctypes.c_void_p
    ctypes.CDLL('libOpenGL.so.0')
    egl = ctypes.CDLL('libEGL.so.1')
    egl.eglGetProcAddress.restype = pointer
    egl.eglInitialize.argtypes = [pointer, pointer, pointer]
    query = extension(egl, b'eglQueryDevicesEXT', ctypes.c_uint, ctypes.c_int, pointer, pointer)
    display = extension(egl, b'eglGetPlatformDisplayEXT', pointer, ctypes.c_uint, pointer, pointer)
    devices, count = (pointer * MAX_DEVICES)(), ctypes.c_int()
    query(MAX_DEVICES, devices, ctypes.byref(count))
    displays = [display(PLATFORM_DEVICE, device, None) for device in devices[: count.value]]
    return any(d and egl.eglInitialize(d, None, None) for d in displays)


if __name__ == '__main__':
    try:
        sys.exit(not some_device_starts())
    except OSError as error:
        sys.exit(str(error))
