"""Secrets erased from the medium itself, not only from what the store shows. In memory only then (see `app.forget`).

Everything here can be cut by a power failure at any instant and done once more from its beginning.
"""

import os

from micropython import const

MARK = "wipe"  # key of the record that stands as long as a wipe is not over
_CHUNK = const(512)
_EIO = const(5)
_EROFS = const(30)
_COMMIT = const(32)  # bytes that littlefs programs for a commit, at the least (MicroPython's `progsize`)
_ENOSPC = const(28)


def wipe_log(log, device, keep):
    """`FlashLog.wipe`: move what is kept into new sectors, then erase all others."""
    if log.refuses:
        raise OSError(_EROFS)
    old = log.used[-1][0]
    for key in log.keys():
        if key not in keep or log.index[key] < 0:  # what is damaged may hold anything
            log.index.pop(key)
    _renew(log)
    for key in log.keys():
        if log.number_at(log.index[key]) <= old:
            log.put(key, log.get(key))
    while log.used[0][0] <= old:
        _renew(log)
    in_use = [sector for _, sector in log.used]
    for sector in range(device.ioctl(4, 0)):
        if sector not in in_use and (device.ioctl(6, sector) or not log.is_erased(sector * log.size, (sector + 1) * log.size)):
            raise OSError(_EIO)
    log.lost = False


def _renew(log):
    """Go on in a new sector, the mark first."""
    log.at = 0
    log.put(MARK, log.get(MARK))


def wipe_files(store, folder, keep):
    """`RecordFiles.wipe`."""
    for name in os.listdir(folder):
        if name not in keep:
            if not store.atomic_close:
                overwrite(folder + name)
            os.remove(folder + name)
    if store.atomic_close:
        mark = store.get(MARK)
        for _ in range(rewrites(folder)):
            store.put(MARK, mark)
        fill(folder)


def overwrite(path):
    """Overwrite a file where it stands, on a file system that does so."""
    with open(path, "r+b") as file:
        left = os.stat(path)[6]
        while left > 0:
            left -= file.write(bytes(min(left, _CHUNK)))
        file.flush()  # MicroPython's POSIX file: fsync


def rewrites(folder):
    """How often a small file must be rewritten until littlefs has erased both blocks of its directory's metadata: what a directory
    held once, small files included, stays readable in them until then."""
    return 2 * os.statvfs(folder)[0] // _COMMIT


def fill(folder):
    """Fill the free blocks of a littlefs once, which erases each of them, and give them back. An ESP32 takes about a minute for
    each 4 MiB."""
    path = folder + "wipe.fill"
    chunk = b"\xa5" * _CHUNK
    file = open(path, "wb")
    try:
        while True:
            file.write(chunk)
    except OSError as error:
        if error.args[0] != _ENOSPC:
            raise
    finally:
        try:
            file.close()
        except OSError:
            pass  # it has no room, as it should
        remove(path)


def remove(path):
    """Remove a file if it is there."""
    try:
        os.remove(path)
    except OSError:
        pass


def replace_text(path, text, secrets, is_littlefs):
    """Replace a file outside the store by `text`, and erase the strings `secrets` that stood in it."""
    if is_littlefs:
        for _ in range(rewrites(path[: path.rfind("/") + 1] or ".")):
            _write(path, text)
        return
    _write(path + ".new", text)
    _cross_out(path, secrets)
    os.rename(path + ".new", path)


def _write(path, text):
    with open(path, "wb") as file:
        file.write(text)
        file.flush()


def _cross_out(path, secrets):
    """Overwrite strings where they stand, with letters: torn at any byte, a JSON file is one still."""
    with open(path, "r+b") as file:
        data = file.read()
        for secret in secrets:
            at = data.find(secret)
            if at >= 0:
                file.seek(at)
                file.write(b"x" * len(secret))
        file.flush()
