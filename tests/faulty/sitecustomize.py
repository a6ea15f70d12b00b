"""Add faults to the decoder; Python runs this module at its start if this folder is on its path."""

import os
import signal

from functions.inference import decode as module

original = module.decode


def decode(data):
    if data == b"endless":
        while True:
            pass
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return original(data)


module.decode = decode
