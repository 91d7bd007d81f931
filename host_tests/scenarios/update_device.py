"""A device that fetches an update: `update_device.py CA.der URL FOLDER`. Its slots stand below FOLDER; it says in a word what came of
it.
"""

import gc
import sys

import loader
from replenish import update
from replenish.core.bundle import Refused
from replenish.io.http import Client
from replenish.io.pieces import Pieces
from replenish.io.stream import trust

from host_tests.fakes.signer import Signer


def main(ca, url, folder):
    loader.root = folder
    loader.start(False)
    loader.healthy()
    keys = [Signer().key]
    with open(ca, "rb") as file:
        source = Pieces(Client(trust([file.read()]), 2000), url)
    gc.collect()
    try:
        print("installed %d.%d.%d" % update.install(source, keys, "bench"))
    except Refused as error:
        print(error)
    source.close()
    loader.start(False)
    print(loader.what(), loader.slot())


main(*sys.argv[1:])
