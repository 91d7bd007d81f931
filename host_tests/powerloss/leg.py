"""One leg of the runner: one life on one medium, in a process of its own, on CPython or MicroPython.

    leg.py MEDIUM LIFE DEPTH SHARE [CUT]

SHARE `i/n`: the i-th of n parts of the work, from 0.

Prints a line for each failure, `FAILED <tab> path <tab> text`, and at the end one line with the counts. With CUT
(`number:tear,...`, or `none` for the uncut line) only that cut is made, and its story is told.
"""

import sys

if sys.implementation.name == "cpython":
    from host_tests import shim

    shim.install()

from host_tests.powerloss import line, lives, media


def make_medium(name):
    """The medium of this name; see README.md."""
    if name == "littlefs":
        from host_tests.powerloss.littlefs_pc import PcLittlefs

        return PcLittlefs()
    if name == "vfslfs2":
        return media.VfsLfs2()
    if name == "posix":
        return media.Posix()
    sectors = 2 if name.startswith("flash2") else 3
    return media.FlashMedium(sectors, "-sample" not in name, "-encrypted" in name)


def parse_cut(text):
    """"137:64,12:5" as [(137, "64"), (12, "5")]."""
    if text == "none":
        return []
    cuts = []
    for part in text.split(","):
        number, _, tear = part.partition(":")
        cuts.append((int(number), tear))
    return cuts


def main(arguments):
    name, life, depth = arguments[:3]
    share = tuple([int(number) for number in arguments[3].split("/")])
    only = parse_cut(arguments[4]) if len(arguments) > 4 else None
    depth = max(int(depth), len(only or ()))
    tally = line.run(lives.LIVES[life], make_medium(name), depth, only, only is not None, share)
    for path, text in tally.failures:
        print("FAILED\t%s\t%s" % (line.path_text(path) or "none", text.replace("\n", " ")))
    kinds = " ".join(["%s=%d" % (kind, tally.cuts[kind]) for kind in sorted(tally.cuts)])
    print("CUTS\t%d\t%d\t%d\t%s" % (sum(tally.cuts.values()), tally.double, tally.lived, kinds))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
