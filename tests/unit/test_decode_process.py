"""A decoder that hangs is stopped, and the next picture gets a new one."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from functions.inference import decode_process as module
from functions.inference.decode import decode
from functions.inference.decode_process import CPU_SECONDS, DecodeProcess
from functions.shared.problem import UNREADABLE_IMAGE, UNSUPPORTED_TYPE, InputError
from tests.hostile import FAULTY
from tests.pictures import draw_face, encode


@pytest.fixture
def process():
    process = DecodeProcess()
    yield process
    process.stop()


@pytest.fixture
def faulty(process, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FAULTY), *sys.path])
    return process


def test_it_decodes_as_in_this_process(process) -> None:
    for file in (encode(draw_face()), encode(draw_face(4000, 3000)), encode(draw_face().convert("L"), "PNG")):
        apart, here = process.decode(file), decode(file)
        assert np.array_equal(apart.pixels, here.pixels)
        assert replace(apart, pixels=None, decode_ms=0) == replace(here, pixels=None, decode_ms=0)
        assert apart.decode_ms > 0


def test_it_refuses_as_in_this_process(process) -> None:
    with pytest.raises(InputError, match="a GIF picture") as caught:
        process.decode(b"GIF89a")
    assert caught.value.problem == UNSUPPORTED_TYPE
    assert process.decode(encode(draw_face())).width == 160


@pytest.mark.parametrize(("fault", "tries"), [(b"endless", 1), (b"crash", 2)])
def test_a_file_that_kills_the_decoder_is_refused_and_the_next_is_scored(
    fault: bytes, tries: int, faulty, monkeypatch
) -> None:
    monkeypatch.setattr(module, "WALL_SECONDS", 300)  # the machine may be busy
    started = []
    start = faulty._start  # noqa: SLF001 -- counts processes
    monkeypatch.setattr(faulty, "_start", lambda: started.append(1) or start())
    with pytest.raises(InputError, match=f"crashed, or took more than {CPU_SECONDS} seconds") as caught:
        faulty.decode(fault)
    assert caught.value.problem == UNREADABLE_IMAGE
    assert len(started) == tries
    assert faulty.decode(encode(draw_face())).width == 160


def test_a_wait_for_the_decoder_is_no_fault_of_the_picture(process, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "WALL_SECONDS", 0)  # less than the process takes to start
        with pytest.raises(TimeoutError):
            process.decode(encode(draw_face()))
    assert process.decode(encode(draw_face())).width == 160


def test_a_process_that_cannot_be_started_is_no_fault_of_the_picture(process, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/missing")
        with pytest.raises(FileNotFoundError):
            process.decode(encode(draw_face()))
    assert process.decode(encode(draw_face())).width == 160


def test_stopping_an_ended_process_raises_no_error() -> None:
    decoder = DecodeProcess()
    decoder.decode(encode(draw_face()))
    child = decoder._process  # noqa: SLF001 -- nobody else knows it
    assert child.poll() is None

    del decoder

    assert child.poll() is not None
