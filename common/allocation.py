"""How the process takes memory from the system."""

import ctypes
import sys

# glibc, malloc.h. By default the threshold grows to 32 MB with what is freed; then large columns lie between small
# objects that live longer, and what they leave is never given back: billing kept 740 MB where it used 150.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 128 << 10


def give_large_blocks_back() -> None:
    """Blocks of 128 KB and more go back to the system as soon as they are freed; without glibc nothing changes."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
