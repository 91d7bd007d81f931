"""The ways into a product at its serial line and over the network: no interrupt, so no prompt, and no WebREPL.

This keeps out who plugs in a cable, not who opens the appliance: the flash can be read and written in the chip's download mode unless
its eFuses say otherwise, and a stock image heeds an interrupt until its first script has run. An image without a REPL has none of
this; `make provision` says which protections the chip has.
"""

import os
import sys

from micropython import const

_NOBODY = const(-1)  # the character that interrupts: none


def close(is_held, password="/webrepl_cfg.py"):
    """Close them. Returns whether the serial line is closed; then the program must never end but by a reset.

    is_held: a person holds the button while the board starts: whoever is at the appliance may have the line, for `make provision`.
    password: the file in which WebREPL's own set-up keeps one, in clear.
    """
    try:
        os.remove(password)
    except OSError:
        pass
    webrepl = sys.modules.get("webrepl")
    if webrepl:
        webrepl.stop()
    if is_held:
        return False
    from micropython import kbd_intr

    kbd_intr(_NOBODY)
    return True
