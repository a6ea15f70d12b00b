"""Ask a running API the least it must do: `python -m infra.smoke --stack maskwatch-dev`, or `--url … --key …`."""

from __future__ import annotations

import argparse
import io
import json
import sys
import urllib.error
import urllib.request
from http import HTTPStatus

from PIL import Image

from infra.client import LOCAL, address

TIMEOUT = 35.0  # seconds: API Gateway gives up after 29


def problems(url: str, key: str) -> list[str]:
    """Return what is wrong with the API at `url`, which ends in a slash; nothing, where all is well."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(picture, "JPEG")
    jpeg = {"content-type": "image/jpeg"}
    asked = [
        ("health", 200, {}, None),
        ("openapi.json", 200, {}, None),
        ("predict", 403, jpeg, picture.getvalue()),
        ("predict", 200, {**jpeg, "x-api-key": key}, picture.getvalue()),
    ]
    found = []
    for path, expected, headers, body in asked:
        status, answer = _ask(url + path, headers, body)
        if status != expected:
            found.append(f"/{path} answered {status} instead of {expected}: {answer[:300]!r}")
        elif path == "predict" and status == HTTPStatus.OK and "label" not in json.loads(answer):
            found.append(f"/{path} answered no label: {answer[:300]!r}")
    return found


def _ask(url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 -- the operator's own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def main() -> None:
    """Ask as the command line says; exit 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", help="ask the API of this stack")
    parser.add_argument("--url", default=LOCAL[0])
    parser.add_argument("--key", default=LOCAL[1])
    arguments = parser.parse_args()
    url, key = address(arguments.stack) if arguments.stack else (arguments.url, arguments.key)
    found = problems(url, key)
    print("\n".join(found) or f"{url} is well")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
