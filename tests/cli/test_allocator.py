"""How many of malloc's arenas a sync's threads spread their memory over."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from etl.cli.allocator import ARENAS, SET_BY_HAND
from tests.support.running import Source, environment

SYNC_THEN_THREADS = """
import ctypes, sys, threading
from etl.cli.main import run
libc = ctypes.CDLL(None)
assert run(sys.argv[1:]) == 0
together, held = threading.Barrier(8), []
def work():
    together.wait()
    held.append(libc.malloc(100))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
libc.fclose.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
told = libc.fopen(b"arenas.xml", b"w")
assert libc.malloc_info(0, told) == 0
libc.fclose(told)
"""
"""A sync, then threads that ask for memory at once; what malloc tells of its arenas goes into a file."""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")


def _arenas(agency: Source, folder: Path, **more: str) -> int:
    words = ["sync", *agency.options, "--database-url", f"sqlite:///{folder / 'w.db'}"]
    inherited = {name: value for name, value in environment().items() if name not in SET_BY_HAND}
    done = subprocess.run(
        [sys.executable, "-c", SYNC_THEN_THREADS, *words],
        env={**inherited, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "arenas.xml").read_text().count("<heap nr=")


def test_threads_of_a_sync_share_arenas(agency: Source, clean: Path) -> None:
    """Threads that begin in a sync share few arenas, so that memory freed by one is used by the others."""
    assert _arenas(agency, clean) <= ARENAS


def test_arenas_set_by_hand_are_left_alone(agency: Source, clean: Path) -> None:
    """A number of arenas that is set in the environment stays in force."""
    assert _arenas(agency, clean, MALLOC_ARENA_MAX="6") > ARENAS
