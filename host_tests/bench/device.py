"""A block device that only counts. `fakes/flash.py` looks at every byte to be strict, which takes far longer; that
the store keeps a NOR flash's rules is proved there, so here only how much is done matters.
"""

_BLOCK_COUNT, _BLOCK_SIZE, _BLOCK_ERASE = 4, 5, 6
BLOCK_SIZE = 4096


class Device:
    """So many blocks of 4 KiB behind MicroPython's block protocol. The counters have the names of `fakes.flash.Flash`."""

    def __init__(self, blocks):
        self.blocks = blocks
        self.image = bytearray(b"\xff" * (blocks * BLOCK_SIZE))
        self._blank = b"\xff" * BLOCK_SIZE
        self.programs = self.erases = self.reads = 0
        self.bytes_programmed = self.bytes_read = 0
        self.erases_of = [0] * blocks

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK_SIZE + offset
        self.reads += 1
        self.bytes_read += len(buffer)
        buffer[:] = memoryview(self.image)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset):
        at = block * BLOCK_SIZE + offset
        self.programs += 1
        self.bytes_programmed += len(buffer)
        self.image[at : at + len(buffer)] = buffer
        return 0

    def ioctl(self, request, argument):
        if request == _BLOCK_COUNT:
            return self.blocks
        if request == _BLOCK_SIZE:
            return BLOCK_SIZE
        if request == _BLOCK_ERASE:
            self.erases += 1
            self.erases_of[argument] += 1
            self.image[argument * BLOCK_SIZE : (argument + 1) * BLOCK_SIZE] = self._blank
        return 0

    def counts(self):
        """(program operations, bytes programmed, erases, read operations, bytes read) so far."""
        return self.programs, self.bytes_programmed, self.erases, self.reads, self.bytes_read
