"""A board at a serial port, for tools' tests: Unix MicroPython behind a pty, whose REPL is the one that a board has.

A folder is its file system. What the port does not have is added here: a soft reset (Ctrl-D) and a hard one (`machine.reset()`, which
prints what an ESP32's boot loader does) start the interpreter anew, with boot.py and, after a hard one, main.py. `cut` takes the power
away when so many bytes have gone over.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import threading
import tty
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HARD = 7  # exit status that stands for a hard reset
_MACHINE = f"""import sys
PWRON_RESET, HARD_RESET, SOFT_RESET = 1, 2, 5
def reset():
 sys.exit({_HARD})
def reset_cause():
 return SOFT_RESET
def unique_id():
 return b"unix"
"""
_START = """
import os
for name in %r:
 if name in os.listdir():
  exec(open(name).read(), {"__name__": "__main__"})
"""


class UnixBoard:
    """A context manager; `port` is the pty's path. cut_after: bytes from the PC, after which the board has no power."""

    def __init__(self, folder: Path, interpreter: Path = ROOT / "build/bin/micropython") -> None:
        self.folder = folder
        self.cut_after: int | None = None
        self.taken = 0
        self.starts: list[str] = []  # "hard" or "soft"
        self._interpreter = interpreter
        self._raw = False
        self._pc, self._keep = pty.openpty()
        tty.setraw(self._keep)
        self.port = os.ttyname(self._keep)
        self._library = folder.parent / (folder.name + "-modules")
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> UnixBoard:
        self.folder.mkdir(exist_ok=True)
        self._library.mkdir(exist_ok=True)
        (self._library / "machine.py").write_text(_MACHINE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._end, b"x")
        self._thread.join(20)
        for descriptor in (self._pc, self._keep, self._ended, self._end):
            os.close(descriptor)

    def power_on(self) -> None:
        """After a cut: power is back, the program starts."""
        self.cut_after = None
        self._raw = False

    def _is_cut(self) -> bool:
        return self.cut_after is not None and self.taken >= self.cut_after

    def _serve(self) -> None:
        hard = True
        while True:
            if self._is_cut():
                if select.select([self._ended], [], [], 0.01)[0]:
                    return
                if select.select([self._pc], [], [], 0)[0]:
                    os.read(self._pc, 4096)  # said to nobody
                hard = True
                continue
            status = self._session(hard)
            if status is None:
                return
            hard = status == _HARD
            if not self._is_cut():
                os.write(self._pc, b"rst:0x1 (POWERON_RESET)\r\n" if hard else b"MPY: soft reboot\r\n")

    def _session(self, hard: bool) -> int | None:
        """From one start of the interpreter to its end; its exit status, None when the test is over."""
        self.starts.append("hard" if hard else "soft")
        if hard:
            self._raw = False
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        modes = termios.tcgetattr(theirs)
        modes[3] |= termios.ISIG  # Ctrl-C ends what runs
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        command = [str(self._interpreter), "-i", "-c", _START % ((("boot.py",) if self._raw else ("boot.py", "main.py")),)]
        path = f"{self._library}:lib:.frozen"
        child = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env={"MICROPYPATH": path, "TERM": "dumb", "HOME": str(self._library)},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(theirs)
        try:
            if self._raw:
                os.write(ours, b"\x01")
            going_on = self._pass_on(ours)
            if self._is_cut():
                child.kill()
            return child.wait(20) if going_on else None
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            os.close(ours)

    def _pass_on(self, ours: int) -> bool:
        """Bytes both ways until the interpreter ends or the power does; False when the test is over."""
        while True:
            ready = select.select([ours, self._pc, self._ended], [], [])[0]
            if self._ended in ready:
                return False
            if ours in ready:
                try:
                    data = os.read(ours, 4096)
                except OSError:  # it ended
                    return True
                os.write(self._pc, data)
            if self._pc in ready:
                data = os.read(self._pc, 4096)
                self.taken += len(data)
                if self._is_cut():
                    return True
                self._raw = (self._raw or b"\x01" in data) and b"\x02" not in data
                os.write(ours, data)
