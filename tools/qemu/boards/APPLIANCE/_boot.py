"""Mount the flash, as an ESP32's image does: what cannot be mounted is formatted if its first sector is blank, else left alone.

In this order: a power cut between the erase and the writing of the first sector leaves it blank, and the file system whole in the
second one.
"""

import sys

from machine import flash
from vfs import VfsLfs2, mount

_SECTOR = 4096


def is_blank():
    first = bytearray(_SECTOR)
    flash.readblocks(0, first)
    return all(byte == 0xFF for byte in first)


try:
    mount(VfsLfs2(flash), "/")
except OSError:
    if is_blank():
        VfsLfs2.mkfs(flash)
        mount(VfsLfs2(flash), "/")
    else:
        print("The file system appears to be corrupted.")
sys.path.append("/lib")
