"""What the C library does with freed memory."""

from __future__ import annotations

import ctypes
import platform


def keep_freed_memory() -> None:
    """Let the C library keep what is freed: a prefill asks for the same few megabytes at every layer, a key in a large file, too.

    Without this each request is mapped and its pages are faulted in anew: 128 tokens took 295 ms instead of 240.
    Mutates: the whole process. Nothing happens on other systems than those with glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    libc.mallopt(mmap_threshold, 32 * 2**20)  # the largest that glibc allows
    libc.mallopt(trim_threshold, 128 * 2**20)
