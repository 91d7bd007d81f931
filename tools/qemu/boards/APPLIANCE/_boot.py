"""Mount the flash, as an ESP32's image does: a blank one is formatted, one that cannot be read is left alone."""

import sys

from machine import flash
from vfs import VfsLfs2, mount

_SECTOR = 4096


def is_blank():
    first = bytearray(_SECTOR)
    flash.readblocks(0, first)
    return all(byte == 0xFF for byte in first)


if is_blank():
    VfsLfs2.mkfs(flash)
try:
    mount(VfsLfs2(flash), "/")
except OSError:
    print("The file system appears to be corrupted.")
sys.path.append("/lib")
