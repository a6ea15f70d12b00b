"""Fake answers of the API, for tests that must not depend on the model, and files to choose."""

import json
import socket
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.pictures import encode

REST = {"mask": ("no_mask", "incorrect"), "no_mask": ("mask", "incorrect"), "incorrect": ("mask", "no_mask")}


def face(label="mask", confidence=0.9, box=(200, 100, 120, 150)):
    """One face; the other labels share the rest of the probability."""
    probabilities = {label: confidence} | dict.fromkeys(REST[label], (1 - confidence) / 2)
    return {
        "box": dict(zip(("left", "top", "width", "height"), box, strict=True)),
        "detection_confidence": 0.97,
        "label": label,
        "confidence": confidence,
        "probabilities": probabilities,
    }


def prediction(*faces, size=(640, 480)):
    """The body of an answer of POST /predict with these faces, the largest first."""
    top = faces[0] if faces else face()
    labels = [each["label"] for each in faces]
    return {
        "prediction_id": "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11",
        "label": top["label"],
        "confidence": top["confidence"],
        "probabilities": top["probabilities"],
        "classified": "face" if faces else "picture",
        "image": {"width": size[0], "height": size[1]},
        "rotated": 0,
        "faces": list(faces),
        "summary": {"faces": len(faces), "uncertain": 0} | {label: labels.count(label) for label in REST},
        "model_version": "9.9",
    }


def problem(status, identifier, detail="Do this instead.", headers=()):
    """Arguments of `Route.fulfill` for a problem document."""
    body = {
        "type": f"urn:maskwatch:problem:{identifier}",
        "title": "A title",
        "status": status,
        "detail": detail,
    }
    return {
        "status": status,
        "headers": {"content-type": "application/problem+json", **dict(headers)},
        "body": json.dumps(body),
    }


def choose(page, *files):
    """Choose files in the page's view of pictures."""
    page.get_by_label("Choose pictures").set_input_files(list(files))


def file(picture, name="face.jpg", kind="JPEG", **options):
    """A picture as a file for Playwright's file chooser."""
    content = picture if isinstance(picture, bytes) else encode(picture, kind, **options)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": content}


def until(page, true):
    """Wait for a condition in this process while the page runs."""
    for _ in range(200):
        if true():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come true within ten seconds")


@contextmanager
def stalling(page, pattern):
    """Answer the page's requests for these addresses with headers and half a body; yield the list of connections."""
    connections = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # it was closed
                return
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b'content-length: 570\r\n\r\n{"label": "mask", '
            )
            connections.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        page.route(pattern, lambda route: route.continue_(url=url))
        yield connections
        server.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()
