"""NOR flash behind MicroPython's block protocol, stricter than the chip: what a chip would quietly spoil is a `Misuse` here.

Bits go from 1 to 0 only, until their block is erased; no byte is programmed twice, not even when its bits would allow it. The
device can be cut at any operation without unwinding the program that uses it: `watch` is called before an operation takes
effect, and `cut` then gives a second device, as the medium would be had the power failed there.
"""

# Names of MicroPython's block protocol (docs, class vfs.AbstractBlockDev).
_INIT, _DEINIT, _SYNC, _BLOCK_COUNT, _BLOCK_SIZE, _BLOCK_ERASE = 1, 2, 3, 4, 5, 6
_EIO = 5
_CIPHER_BLOCK = 16  # AES: a torn or flipped bit spoils so many bytes
_MASK = (1 << 64) - 1


class Misuse(Exception):
    """The program broke a rule of the medium. Not an OSError, so that no handler takes it for a medium that refuses."""


class Flash:
    """blocks, block_size: the geometry in bytes; unit: programs are aligned to it and multiples of it.

    encrypted: what stands on the medium is enciphered by its address, as with the ESP32's flash encryption: erased bytes read
    as noise. `unit` must be a multiple of 16 then.
    """

    def __init__(self, blocks, block_size=4096, unit=1, encrypted=False):
        self.blocks = blocks
        self.block_size = block_size
        self.unit = unit
        self.encrypted = encrypted
        self.image = bytearray(b"\xff" * (blocks * block_size))  # what stands on the medium, enciphered if it is
        self.used = bytearray(blocks * block_size)  # 1: programmed since the erase
        self.watch = None  # watch(kind, address, data) before a "program", an "erase" (data: its size) or a "sync" takes effect
        self.worn = {}  # block: "refuses" (erase raises), "leaves" (some bytes stay), "stuck" (a bit stays 0)
        self.programs = self.erases = self.reads = self.syncs = 0
        self.bytes_programmed = self.bytes_read = 0
        self.erases_of = [0] * blocks
        self._faults = []  # [kind, operations still to come, how]
        self._met = []
        self._unsynced = {}  # block: (image, used) at the last sync

    # The block protocol

    def readblocks(self, block, buffer, offset=0):
        if not isinstance(buffer, (bytearray, memoryview)):
            raise Misuse("read into a " + type(buffer).__name__)
        size = len(buffer)
        if not (0 <= block < self.blocks and 0 <= offset <= self.block_size - size):
            self._address(block, offset, size)  # says what is wrong; not called in vain, for media are read most
        self.reads += 1
        self.bytes_read += size
        address = block * self.block_size + offset
        buffer[:] = self.peek(address, size) if self.encrypted else self.image[address : address + size]
        return 0

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            raise Misuse("a write without an offset: on an esp32.Partition it would erase")
        if not isinstance(buffer, (bytes, bytearray, memoryview)):
            raise Misuse("write from a " + type(buffer).__name__)
        data = bytes(buffer)
        address = self._address(block, offset, len(data))
        if address % self.unit or not data or len(data) % self.unit:
            raise Misuse("program of %d bytes at %d: allowed: multiples of %d" % (len(data), address, self.unit))
        if any(self.used[address : address + len(data)]):
            raise Misuse("program of %d bytes at %d: programmed already" % (len(data), address))
        if self.watch:
            self.watch("program", address, data)
        self.programs += 1
        self.bytes_programmed += len(data)
        self._keep(block)
        done = self._meet("program", len(data))
        self._program(address, data, done)
        return self._end(done)

    def ioctl(self, request, argument):
        if request == _BLOCK_COUNT:
            return self.blocks
        if request == _BLOCK_SIZE:
            return self.block_size
        if request == _BLOCK_ERASE:
            return self._erase_block(argument)
        if request == _SYNC:
            if self.watch:
                self.watch("sync", 0, 0)
            self.syncs += 1
            self._unsynced = {}
        elif request not in (_INIT, _DEINIT):
            raise Misuse("ioctl %r" % (request,))
        return 0

    def _address(self, block, offset, size):
        if not 0 <= block < self.blocks:
            raise Misuse("block %r: allowed: 0 to %d" % (block, self.blocks - 1))
        if not 0 <= offset <= self.block_size - size:
            raise Misuse("%d bytes at %r of block %d: beyond the block" % (size, offset, block))
        return block * self.block_size + offset

    def _erase_block(self, block):
        address = self._address(block, 0, self.block_size)
        if self.watch:
            self.watch("erase", address, self.block_size)
        worn = self.worn.get(block)
        if worn == "refuses":
            self._note("refuses")
            raise OSError(_EIO)
        self.erases += 1
        self.erases_of[block] += 1
        self._keep(block)
        done = self._meet("erase", self.block_size)
        self._erase(address, done)
        if worn:
            self._wear(address, worn)
        return self._end(done)

    # What an operation does to the medium; `done`: (bytes, whether it says that it failed), or None: all of it

    def _program(self, address, data, done=None):
        size = len(data) if done is None else done[0]
        raw = self._cipher(address, data, True) if self.encrypted else data
        for i in range(size):
            self.image[address + i] &= raw[i]
            self.used[address + i] = 1

    def _erase(self, address, done=None):
        size = self.block_size if done is None else done[0]
        self.image[address : address + size] = b"\xff" * size
        self.used[address : address + size] = bytes(size)

    def _wear(self, address, how):
        self._note(how)
        if how == "stuck":
            self.image[address + 5] &= 0xF7
        else:
            self.image[address + 64 : address + 96] = bytes(32)
            for i in range(64, 96):
                self.used[address + i] = 1

    def _end(self, done):
        if done and done[1]:
            raise OSError(_EIO)
        return 0

    # Faults

    def arm(self, kind, number, how):
        """Spoil the `number`-th "program" or "erase" from now, from 1. how: "fail" (nothing done, OSError), "break" (half done,
        OSError), "drop" (nothing done, all well), "tear" (half done, all well)."""
        if kind not in ("program", "erase") or how not in ("fail", "break", "drop", "tear"):
            raise ValueError("%s %s" % (kind, how))
        self._faults.append([kind, number, how])

    def _meet(self, kind, size):
        """What an armed fault leaves of this operation, as `done` above."""
        done = None
        for fault in list(self._faults):
            if fault[0] == kind:
                fault[1] -= 1
                if not fault[1]:
                    self._faults.remove(fault)
                    self._note(fault[2])
                    done = 0 if fault[2] in ("fail", "drop") else size // 2, fault[2] in ("fail", "break")
        return done

    def _note(self, how):
        self._met.append(how)

    def met(self):
        """The faults that happened, in order. AssertionError when one that was armed, or a worn block, was never met."""
        if self._faults:
            raise AssertionError("never happened: %r" % (self._faults,))
        for block in self.worn:
            if self.worn[block] not in self._met:
                raise AssertionError("block %d was never erased" % block)
        return self._met

    # Power cuts

    def cut(self, kind, address, data, tear):
        """A second device as the medium would be had the power failed in an operation that `watch` was just told of.

        tear: so many first bytes were done (0: none), or a string that begins with "b": a pseudo-random part of the bits.
        """
        other = self.copy()
        if kind == "program":
            other._tear_program(address, data, tear)
        elif kind == "erase":
            other._tear_erase(address, tear)
        return other

    def copy(self):
        """A second device with the same medium, from which nothing was read or written yet."""
        other = Flash(0, self.block_size, self.unit, self.encrypted)
        other.blocks = self.blocks
        other.erases_of = [0] * self.blocks
        other.image = bytearray(self.image)
        other.used = bytearray(self.used)
        return other

    def _tear_program(self, address, data, tear):
        if isinstance(tear, int):
            return self._program(address, data, (tear, False))
        raw = self._cipher(address, data, True) if self.encrypted else data
        noise = _noise(tear, len(data))
        for i in range(len(data)):
            self.image[address + i] &= raw[i] | noise[i]
            self.used[address + i] = 1
        return None

    def _tear_erase(self, address, tear):
        if isinstance(tear, int):
            return self._erase(address, (tear, False))
        noise = _noise(tear, self.block_size)
        for i in range(self.block_size):
            self.image[address + i] |= noise[i]
            # What looks erased now may be so only just: as on the chip, only a whole erase makes it fit for a program.
            self.used[address + i] = 1
        return None

    def unsynced(self):
        """The blocks that changed since the last sync, in a stable order."""
        return sorted(self._unsynced)

    def revert(self, other, blocks):
        """Undo in `other`, a copy, what these blocks had since the last sync: later writes reached the medium, theirs did not."""
        for block in blocks:
            start = block * self.block_size
            other.image[start : start + self.block_size], other.used[start : start + self.block_size] = self._unsynced[block]

    def _keep(self, block):
        if block not in self._unsynced:
            start = block * self.block_size
            end = start + self.block_size
            self._unsynced[block] = bytes(self.image[start:end]), bytes(self.used[start:end])

    # Encryption: a stand-in for AES-XTS with its two properties, that the address goes in and that one bit spoils its 16 bytes

    def peek(self, address, size):
        """What a read would give, uncounted."""
        if not self.encrypted:
            return bytes(self.image[address : address + size])
        start = address - address % _CIPHER_BLOCK
        end = address + size + -(address + size) % _CIPHER_BLOCK
        return self._cipher(start, bytes(self.image[start:end]), False)[address - start : address - start + size]

    def _cipher(self, address, data, forth):
        done = bytearray()
        for at in range(0, len(data), _CIPHER_BLOCK):
            case = address + at, data[at : at + _CIPHER_BLOCK], forth
            if case not in _DONE:
                if len(_DONE) >= _DONE_LIMIT:
                    _DONE.clear()
                _DONE[case] = _encipher(*case)
            done.extend(_DONE[case])
        return bytes(done)


_DONE_LIMIT = 20000
_DONE = {}  # what was enciphered or deciphered before: copies of a medium are read again and again


def _encipher(address, data, forth):
    left = int.from_bytes(data[:8], "little")
    right = int.from_bytes(data[8:], "little")
    tweak = address * 0x9E3779B97F4A7C15
    for turn in (1, 2, 3, 4) if forth else (4, 3, 2, 1):
        if turn % 2:
            right ^= _mix(left + turn + tweak)
        else:
            left ^= _mix(right + turn + tweak)
    return left.to_bytes(8, "little") + right.to_bytes(8, "little")


def _mix(value):
    value = (value & _MASK) * 0xBF58476D1CE4E5B9 & _MASK
    return (value ^ value >> 29) * 0x94D049BB133111EB & _MASK


def _noise(seed, size):
    """Pseudo-random bytes, the same on every interpreter."""
    state = 0x811C9DC5
    for byte in seed.encode():
        state = (state ^ byte) * 0x01000193 & 0xFFFFFFFF
    noise = bytearray(size)
    for i in range(size):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        noise[i] = state >> 16 & 0xFF
    return noise
