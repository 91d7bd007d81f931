"""The flash of an ESP32, for the store on a raw partition."""


def partition(label):
    """(device with MicroPython's block protocol, whether it is encrypted) of the data partition with this label, None without one."""
    try:
        from esp32 import Partition
    except ImportError:
        return None  # another chip
    found = Partition.find(Partition.TYPE_DATA, label=label)
    return (found[0], found[0].info()[5]) if found else None
