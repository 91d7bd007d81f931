"""A board's two slots below a folder, and its starts by the loader."""

import os
import struct
import sys
from binascii import crc32

import loader

START = "/start"


def closed(data):
    return data + struct.pack("<I", crc32(data))


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


class Slots:
    """What stands in the slots is told by `fill`; `start` is one start of the board."""

    def __init__(self, root):
        self.root = loader.root = root
        self.path = list(sys.path)
        self.writes = 0

    def folder(self, name):
        return self.root + loader.FOLDERS[name == "b"]

    def make(self):
        """The folders of a board that was never used."""
        for name in loader.FOLDERS:
            os.mkdir(self.root + name)
            os.mkdir(self.root + name + "/replenish")

    def marker(self, name):
        return self.folder(name) + "/replenish/whole"

    def fill(self, name, version, build=b"\7"):
        """Put a version into a slot; None: the slot is not whole."""
        if version:
            write(self.marker(name), closed(struct.pack("<2sB3H32s", b"rW", 1, *(version + (build * 32,)))))
        elif os.listdir(self.marker(name)[:-6]):
            os.remove(self.marker(name))

    def is_whole(self, name):
        """Whether the slot says so."""
        data = content(self.marker(name)) if "whole" in os.listdir(self.marker(name)[:-6]) else b""
        return len(data) == 45 and data == closed(data[:-4])

    def start(self, wake=False):
        """Start; returns what the start did and the slot that runs. Each write of the record is counted."""
        before = self.kept()
        sys.path[:] = self.path
        loader.start(wake)
        self.writes += self.kept() != before
        ours = [self.root + name for name in loader.FOLDERS]
        assert [name for name in sys.path if name in ours] == ([ours[loader.slot() == "b"]] if loader.slot() else [])
        sys.path[:] = self.path
        return loader.what(), loader.slot()

    def kept(self):
        """The loader's record, b"" when there is none."""
        return content(self.root + START) if START[1:] in os.listdir(self.root or "/") else b""

    def tree(self, name):
        """{place: content} of all files of a slot, `whole` too."""
        found = {}
        folders = [""]
        for folder in folders:
            for entry in os.listdir(self.folder(name) + folder):
                path = folder + "/" + entry
                if os.stat(self.folder(name) + path)[0] & 0x4000:
                    folders.append(path)
                else:
                    found[path[1:]] = content(self.folder(name) + path)
        return found
