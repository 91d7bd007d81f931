"""A signed update of the agent: judged, written beside what runs, and handed to the loader to be tried. In memory only then.

    install(source, keys, board, ...)       from anything that has `read` and `skip` (io/pieces.py)
    poll(agent, now)                        from `update.url`, when that is due
"""

import struct
import sys

from .core import bundle
from .core.bundle import Refused
from .io.slotfiles import SlotFiles
from .store import record
from .version import VERSION

_RECORD = "update"  # when the URL is asked next, Unix seconds in four bytes


def install(source, keys, board, again=False, progress=None, store=None):
    """Write the update that `source` gives into the slot that does not run, and have it tried at the next start; or, where `store`,
    the agent's, is given too, a firmware image into the partition that does not run.

    keys: of those who may sign, 384 bytes each; board: this board's name; again: take one that was tried before and given up;
    progress: called from within, before each read of the source too: it feeds a watchdog. Returns its version, three numbers. Raises
    Refused, by whose word nothing that can run has changed, and OSError when the medium refuses. Minutes at the worst.
    """
    loader = _loader()
    if progress:
        source = _Fed(source, progress)
    manifest = read_manifest(source, keys)
    head = manifest.head
    if head.kind == bundle.IMAGE and store:
        return _install_image(loader, manifest, source, board, store, progress)
    floor, failed, _ = loader.floors()
    bundle.check_agent(head, numbers(VERSION), board, _bytecode(), record.VERSION, (floor, None if again else failed))
    _check_start(loader)
    slot = SlotFiles(loader.other(), progress)
    slot.check_room(manifest)
    kept = slot.clear(manifest)
    number = 0
    for place, length, digest in manifest.files():
        if kept[number]:
            source.skip(length)
        else:
            slot.write(place, length, digest, source)
        number += 1
    if source.read(1):
        raise Refused("trailing")
    slot.seal(manifest)
    loader.try_next(head.version)
    return head.version


class _Fed:
    """A source that may be slow: `progress` is called before each read."""

    def __init__(self, source, progress):
        self._source = source
        self._progress = progress
        self.skip = source.skip

    def read(self, size):
        self._progress()
        return self._source.read(size)


def _install_image(loader, manifest, source, board, store, progress):
    from .io.ota import own_version, write

    bundle.check_image(manifest.head, board, _bytecode(), max(own_version(), loader.floors()[2]))
    _check_start(loader)  # one thing at a time
    write(manifest, source, store, progress)
    return manifest.head.version


def _loader():
    """The loader, which stands beside the package, and only on boards. Raises Refused."""
    try:
        import loader
    except ImportError:
        raise Refused("no_loader")
    return loader


def _check_start(loader):
    """Raises Refused unless what runs is known to be confirmed: else the other slot may have the only version that is well."""
    if loader.what() == "trial":
        raise Refused("on_trial")
    if loader.what() == "unread":
        raise Refused("unread")


def _bytecode():
    return getattr(sys.implementation, "_mpy", 6) & 255


def read_manifest(source, keys):
    """The manifest that a source begins with, verified. Raises Refused."""
    head = bundle.Head(_exactly(source, bundle.HEAD_SIZE))
    manifest = bundle.Manifest(head, _exactly(source, head.list_size))
    manifest.verify(_exactly(source, bundle.SIGNATURE_SIZE), keys)
    return manifest


def _exactly(source, size):
    """So many bytes. Raises Refused when there are fewer."""
    data = bytearray(size)
    at = 0
    while at < size:
        some = source.read(size - at)
        if not some:
            raise Refused("truncated")
        data[at : at + len(some)] = some
        at += len(some)
    return bytes(data)


def numbers(version):
    """The three numbers of a version such as "1.2.3"."""
    return tuple([int(part) for part in version.split(".")])


def read_keys(paths):
    """The keys in these files. Raises ValueError for one that is not a modulus of 3,072 bits, OSError."""
    keys = []
    for path in paths:
        with open(path, "rb") as file:
            key = file.read(bundle.SIGNATURE_SIZE + 1)
        if len(key) != bundle.SIGNATURE_SIZE or key[0] < 128 or not key[-1] & 1:
            raise ValueError("%s: no key for updates, see `make keys`" % path)
        keys.append(key)
    return keys


def by_hand(agent, source):
    """See `Agent.update`."""
    if isinstance(source, str):
        from .io.pieces import File

        try:
            source = File(source)
        except OSError as error:
            return _told(agent, "failed", True, str(error))
    return _take(agent, source, True)


def at_line(config, path):
    """For `make update`, which stops the agent and copies a bundle to the board first: the same, by this configuration file."""
    from .config import load
    from .io.pieces import File

    settings = load(config)[0]["update"]
    source = File(path)
    try:
        install(source, read_keys(settings["keys"]), settings["board"], True)
        print("update: ready")
    except (Refused, OSError, ValueError) as error:
        print("update: %s" % error)
    finally:
        source.close()


def _take(agent, source, by_hand):
    """Install what a source gives, and tell what came of it; returns None, or why not in a word. by_hand: not from `update.url`."""
    settings = agent.updates
    try:
        version = install(source, read_keys(settings["keys"]), settings["board"], by_hand, agent.progress, agent.ledger.store)
    except Refused as error:
        agent.ledger.store.must_restart |= error.args[0] == "unread"  # the next start may read it
        return _told(agent, error.args[0], by_hand)
    except (OSError, ValueError) as error:
        return _told(agent, "failed", by_hand, str(error))
    finally:
        source.close()
    agent.ledger.store.must_restart = True
    _told(agent, "ready", by_hand, "%d.%d.%d" % version)
    return None


def _told(agent, word, by_hand, detail=None):
    agent.tell("update", None, ("state", word), ("by", "hand" if by_hand else "url"), ("detail", detail))
    return word


def poll(agent, now):
    """Ask `update.url` for an update if that is due, and install one that there is."""
    settings = agent.updates
    every_s = settings["every_h"] * 3600
    if not agent.trust and not agent.client:
        agent.update_at = None  # a board without a network
        return
    if not agent.update_at:  # the first time since the start
        at = _planned(agent.ledger.store)
        if not now - every_s < at <= now + every_s:
            at = now + int(agent.clock.fraction() * every_s)  # never yet: not all devices of a fleet at once
            _plan(agent, at)
        agent.update_at = max(at, agent.device.first_call_at)
        return
    away_s = agent.reach and agent.reach()
    if away_s:
        agent.update_at = now + away_s
        return
    _plan(agent, now + every_s)  # before it is asked: whatever happens then, it is not asked again at once
    from .io.http import Client
    from .io.pieces import Pieces

    _take(agent, Pieces(agent.client or Client(agent.trust), settings["url"], agent.progress), False)


def _planned(store):
    try:
        data = store.get(_RECORD)
    except Exception:  # damaged: planned anew
        data = None
    return struct.unpack("<I", data)[0] if data and len(data) == 4 else 0


def _plan(agent, at):
    agent.update_at = at
    agent.try_save(agent.ledger.store.put, _RECORD, struct.pack("<I", at))
