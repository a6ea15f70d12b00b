"""Python runs this at its start where this folder is on its path: the decoder gets faults that no known file has."""

import os
import signal

from functions.inference import decode as module

sound = module.decode


def decode(data):
    if data == b"endless":
        while True:
            pass
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return sound(data)


module.decode = decode
