"""An ESP32's OTA partitions and its bootloader, with ESP-IDF's rollback, on the strict flash: a second start without a word that the
image is well, and the old one runs again."""

import sys

from host_tests.fakes.flash import Flash

_OTA_0 = 16  # ESP_PARTITION_SUBTYPE_APP_OTA_0
_BLOCKS = 8


DESCRIBED_BYTES = 288


def described(version):
    """How an image begins: two headers, and ESP-IDF's `esp_app_desc_t` of 256 bytes, in which its version stands."""
    told = b"\x32\x54\xcd\xab" + bytes(12) + version + bytes(32 - len(version)) + b"micropython"
    return b"\xe9" + bytes(31) + told + bytes(DESCRIBED_BYTES - 32 - len(told))


class Chip:
    """Two partitions of 32 KiB; ota_0 runs, an image that says it has this version. `install` makes its `esp32` the module."""

    def __init__(self, partitions=2, version=b""):
        self.flashes = [Flash(_BLOCKS) for _ in range(partitions)]
        self.flashes[0].image[:DESCRIBED_BYTES] = described(version)
        self.runs = self.boots = 0
        self.pending = False  # what runs has not confirmed itself yet
        self.confirmed = 0  # how often something did
        self.was_told = False  # there is OTA data: once somebody set what to boot
        chip = self

        class Partition:
            RUNNING = 1

            def __init__(self, which):
                if which not in (Partition.RUNNING, "next"):
                    raise TypeError(which)
                self._number = chip.runs if which == Partition.RUNNING else (chip.runs + 1) % len(chip.flashes)

            def info(self):
                return (0, _OTA_0 + self._number, 0x10000, _BLOCKS * 4096, "ota_%d" % self._number, False)

            def get_next_update(self):
                if len(chip.flashes) < 2:
                    raise OSError(-261)  # ESP_ERR_NOT_FOUND
                return Partition("next")

            def ioctl(self, request, argument):
                self._check(request)
                return chip.flashes[self._number].ioctl(request, argument)

            def readblocks(self, block, buffer, offset):
                return chip.flashes[self._number].readblocks(block, buffer, offset)

            def writeblocks(self, block, buffer, offset):
                self._check(6)
                return chip.flashes[self._number].writeblocks(block, buffer, offset)

            def _check(self, request):
                if request == 6 and self._number in (chip.runs, chip.boots):
                    raise AssertionError("writes into what runs, or is to be booted")

            def set_boot(self):
                if chip.flashes[self._number].image[0] != 0xE9:
                    raise OSError(-5379)  # ESP_ERR_OTA_VALIDATE_FAILED
                chip.boots = self._number
                chip.was_told = True

            @classmethod
            def mark_app_valid_cancel_rollback(cls):
                if not chip.was_told:
                    raise OSError(-1)  # ESP_FAIL: no OTA data names what runs
                chip.confirmed += chip.pending
                chip.pending = False

        self.Partition = Partition

    def restart(self):
        if self.pending:
            self.pending = self.was_told = False
            self.boots = self.runs = (self.runs + 1) % len(self.flashes)
        elif self.boots != self.runs:
            self.runs = self.boots
            self.pending = True

    def __enter__(self):
        self._theirs = sys.modules.get("esp32")
        sys.modules["esp32"] = self  # type: ignore[assignment]
        return self

    def __exit__(self, *error):
        del sys.modules["esp32"]
        if self._theirs:
            sys.modules["esp32"] = self._theirs
