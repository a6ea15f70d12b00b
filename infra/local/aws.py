"""A moto server in a process of its own, that ends with whoever started it."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto on a free port of this machine and give its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local.aws"],
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the parent
    ) as child:
        assert child.stdout is not None  # noqa: S101 -- by PIPE above
        try:
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def main() -> None:
    """Serve until standard input is closed."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- a second to import, not needed by the parent

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
