"""Keeps values out of core files."""

from __future__ import annotations

_forbidden = False


def forbid() -> None:
    """Lets a crash of this process, and of what it starts, write no core file; once, so that a program may allow it again.

    The soft limit becomes 1 byte and not 0: Linux writes no file for either, and hands a core to a
    program that /proc/sys/kernel/core_pattern names even at 0, but not at 1. The hard limit stays, so
    resource.setrlimit after the first look-up brings core files back.
    """
    global _forbidden
    if _forbidden:
        return
    _forbidden = True
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard == resource.RLIM_INFINITY else min(1, hard), hard))
    except (ImportError, OSError, ValueError):
        return  # no such limit, or a sandbox that lets nobody set it: the value is wanted all the same
