"""Decodes in a separate process, which can be stopped if a picture takes too long; a thread cannot.

The limits of `decode` keep every known file far below the limits here, which are for unknown faults of the decoders.
The answer is JSON and plain pixels, not a pickle, because the process has read untrusted bytes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Final

import numpy as np

from functions.inference.decode import Picture, decode
from functions.shared.problem import PROBLEMS, UNREADABLE_IMAGE, InputError

CPU_SECONDS: Final = 2  # of processor time for a picture
WALL_SECONDS: Final = 30.0  # for an answer; long, because the machine may be busy
_TRIES: Final = 2
_PROBLEMS: Final = {problem.identifier: problem for problem in PROBLEMS}
_BUFFER: Final = 1 << 20  # bytes; enough for most pictures' pixels


class DecodeProcess:
    """Decodes pictures one at a time, in a process that is started when needed. Not thread-safe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def decode(self, data: bytes) -> Picture:
        """Decode a picture as `decode` does; refuse one that takes too long or crashes the process twice.

        Raises:
            InputError: If the file cannot be scored; the detail says why.
            OSError: The process cannot be started, or (TimeoutError) did not answer; try again.
        """
        for _ in range(_TRIES):
            connection = self._connection or self._start()
            try:
                return self._ask(connection, data)
            except TimeoutError:  # the machine is busy, or was suspended: no fault of the picture
                self.stop()
                raise
            except (EOFError, OSError):  # the process has ended
                if self.stop() == -signal.SIGPROF:
                    break
        detail = f"The decoder crashed, or took more than {CPU_SECONDS} seconds. Save the picture again."
        raise InputError(UNREADABLE_IMAGE, detail)

    def stop(self) -> int | None:
        """End the process, if there is one, and return its exit code."""
        if self._connection:
            self._connection.close()
            self._connection = None
        if self._process is None:
            return None
        self._process.kill()
        code = self._process.wait()
        self._process = None
        return code

    def __del__(self) -> None:
        """End the process with this object."""
        self.stop()

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            self._process = subprocess.Popen(  # noqa: S603 -- this module
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self._connection = Connection(ours.detach())
        return self._connection

    @staticmethod
    def _ask(connection: Connection, data: bytes) -> Picture:
        connection.send_bytes(data)
        if not connection.poll(WALL_SECONDS):
            raise TimeoutError
        answer = json.loads(connection.recv_bytes())
        if "problem" in answer:
            raise InputError(_PROBLEMS[answer["problem"]], answer["detail"])
        pixels = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(answer["pixels"])
        return Picture(**answer | {"pixels": pixels})


def serve(connection: Connection) -> None:
    """Decode pictures until the connection closes; the kernel ends the process if one takes too long."""
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # then SIGPROF ends the process
        try:
            picture = decode(data)
        except InputError as error:
            answer = {"problem": error.problem.identifier, "detail": error.detail}
            connection.send_bytes(json.dumps(answer).encode())
            continue
        metadata = vars(picture) | {"pixels": picture.pixels.shape}
        connection.send_bytes(json.dumps(metadata).encode())
        connection.send_bytes(np.ascontiguousarray(picture.pixels).data.cast("B"))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
