"""`maskwatch predict` draws results on copies, and scales pictures that are too large for the API."""

import io
import json
import os
import resource
import zlib

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from maskwatch.cli import main
from maskwatch.draw import COLOURS, save
from maskwatch.pictures import MAX_BYTES, scaled_down, upright
from tests.pictures import chunk, draw_face, encode
from tests.service import prediction, problem

TURNED_RIGHT = 6  # as a phone writes it that was held upright
NOISE = np.random.default_rng(7)


@pytest.fixture
def service(service, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    service.answer = lambda _: prediction("mask", box={"left": 30, "top": 40, "width": 60, "height": 80})
    return service


@pytest.fixture
def place(tmp_path):
    def put(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    return put


def noise(width, height, mode="RGB"):
    """A picture that compresses badly."""
    bands = len(mode)
    shape = (height, width, bands) if bands > 1 else (height, width)
    return Image.fromarray(NOISE.integers(0, 256, shape, dtype=np.uint8))


def turned(image):
    """The file of a picture that is stored rotated, with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = TURNED_RIGHT
    return encode(image.transpose(Image.Transpose.ROTATE_90), quality=100, subsampling=0, exif=exif)


def is_close(pixel, colour):
    wanted = bytes.fromhex(colour.removeprefix("#"))
    return max(abs(int(a) - b) for a, b in zip(pixel, wanted, strict=True)) < 60  # JPEG's own doing


def sent(asked):
    return Image.open(io.BytesIO(asked.body))


@pytest.mark.usefixtures("service")
def test_copies_have_the_orientation_of_the_pictures(place, tmp_path):
    face = encode(draw_face())
    for name in ("photos/a.jpg", "photos/gate 3/a.jpg", "b.png", "scan"):
        place(name, face if name != "b.png" else encode(draw_face(), "PNG"))

    assert main(["predict", "photos", "b.png", "scan", "--draw", "out/drawn"]) == 0

    drawn = tmp_path / "out" / "drawn"
    files = sorted(str(f.relative_to(drawn)) for f in drawn.rglob("*") if f.is_file())
    assert files == ["a.jpg", "b.png", "gate 3/a.jpg", "scan.jpg"]
    with Image.open(drawn / "b.png") as copy:
        assert (copy.format, copy.size) == ("PNG", (160, 200))
    with Image.open(drawn / "scan.jpg") as copy:
        assert copy.format == "JPEG"
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == face


@pytest.mark.usefixtures("service")
def test_the_box_is_around_the_face_also_in_a_rotated_picture(place, tmp_path):
    place("a.jpg", turned(Image.new("RGB", (160, 200), "white")))

    main(["predict", "a.jpg", "--draw", "drawn"])

    with Image.open(tmp_path / "drawn" / "a.jpg") as copy:
        assert copy.size == (160, 200)
        assert not copy.getexif()
        for x, y in ((30, 80), (90, 80), (60, 120)):
            assert is_close(copy.getpixel((x, y)), COLOURS["mask"])
        assert copy.getpixel((60, 80)) == (255, 255, 255)


def test_refused_pictures_are_not_drawn(service, place, tmp_path):
    place("a.jpg", b"nothing")
    place("b.jpg", encode(draw_face()))
    service.answer = lambda asked: (
        problem("unreadable-image", 422, "No.") if asked.body == b"nothing" else prediction("mask")
    )

    assert main(["predict", "a.jpg", "b.jpg", "--draw", "drawn"]) == 1

    assert [file.name for file in (tmp_path / "drawn").iterdir()] == ["b.jpg"]


def test_a_folder_that_cannot_be_written_is_reported_before_anything_is_sent(service, place, capsys):
    place("a.jpg", encode(draw_face()))
    place("drawn", b"a file where a folder should be")

    with pytest.raises(SystemExit, match="2"):
        main(["predict", "a.jpg", "--draw", "drawn"])
    assert "drawn cannot be written: File exists" in capsys.readouterr().err
    assert service.asked == []


@pytest.mark.usefixtures("service")
def test_the_answer_is_printed_even_if_it_cannot_be_drawn(place, capsys, tmp_path):
    place("a.jpg", encode(draw_face()))
    place("b.jpg", b"a picture that only the service can read")
    (tmp_path / "drawn" / "a.jpg").mkdir(parents=True)

    assert main(["predict", "a.jpg", "b.jpg", "--draw", "drawn"]) == 0

    out, err = capsys.readouterr()
    assert "2 pictures: 2 mask" in out
    assert "maskwatch: a.jpg could not be drawn: [Errno 21] Is a directory: 'drawn/a.jpg'\n" in err
    assert "maskwatch: b.jpg could not be drawn: its 40 bytes are not a JPEG, PNG or WebP" in err


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_copy_that_is_a_link_does_not_overwrite_the_picture(place, tmp_path, link):
    place("photos/a.jpg", face := encode(draw_face()))
    place("drawn/b.jpg", b"")
    getattr(tmp_path / "drawn" / "a.jpg", link)(tmp_path / "photos" / "a.jpg")

    assert main(["predict", "photos", "--draw", "drawn"]) == 0

    assert (tmp_path / "photos" / "a.jpg").read_bytes() == face
    assert (tmp_path / "drawn" / "a.jpg").read_bytes() != face


def test_a_copy_behind_a_linked_folder_does_not_overwrite_the_picture(service, place, tmp_path, capsys):
    place("else/b.jpg", face := encode(draw_face()))
    for folder in ("photos", "drawn"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "linked").symlink_to("../else")

    with pytest.raises(SystemExit, match="2"):
        main(["predict", "photos", "--draw", "drawn"])

    assert "drawn/linked/b.jpg is one of the pictures" in capsys.readouterr().err
    assert (tmp_path / "else" / "b.jpg").read_bytes() == face
    assert service.asked == []


def test_a_second_name_of_the_pictures_folder_is_refused(service, place, tmp_path, monkeypatch, capsys):
    """On a disk that ignores case, as on macOS, `realpath` gives `Photos` and `photos` for one folder."""
    place("photos/a.jpg", face := encode(draw_face()))
    (tmp_path / "Photos").symlink_to("photos")
    monkeypatch.setattr("os.path.realpath", os.path.abspath)

    with pytest.raises(SystemExit, match="2"):
        main(["predict", "photos", "--draw", "Photos"])

    assert "is in Photos, the folder of the annotated copies" in capsys.readouterr().err
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == face
    assert service.asked == []


def test_an_error_of_another_file_names_it(service, place, monkeypatch, capsys):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "closed.jpg")

    monkeypatch.setattr("maskwatch.cli.find", refuse)
    place("a.jpg", encode(draw_face()))

    assert main(["predict", "a.jpg"]) == 1

    assert capsys.readouterr().err == "maskwatch: [Errno 13] Permission denied: 'closed.jpg'\n"
    assert service.asked == []


@pytest.mark.usefixtures("service")
def test_a_link_to_itself_is_refused_and_the_others_are_drawn(place, tmp_path, capsys):
    place("photos/a.jpg", encode(draw_face()))
    (tmp_path / "photos" / "loop.jpg").symlink_to("loop.jpg")

    assert main(["predict", "photos", "--draw", "drawn"]) == 1

    assert "loop.jpg  refused: " in capsys.readouterr().out
    assert (tmp_path / "drawn" / "a.jpg").exists()


LARGE = zlib.compress(bytes(3_000_000))
FRONTS = {
    "line-end": b"\r\n",
    "zeros": bytes(7),
    "byte-order-mark": b"\xef\xbb\xbf",
    "mjpeg-part": b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\n",
}
METADATA = {
    "checksum": chunk(b"tEXt", b"Comment\0x")[:-4] + b"\0\0\0\1",
    "itxt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + LARGE),
    "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
    "profile": chunk(b"zTXt", b"Raw profile type exif\0\0" + LARGE),
    "ztxt": chunk(b"zTXt", b"Comment\0\0" + LARGE),
    "iccp": chunk(b"iCCP", b"profile\0\0" + LARGE),
    "animation": chunk(b"acTL", bytes(3)),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
def test_what_the_service_skips_in_front_of_a_picture_does_not_matter(kind, front):
    data = encode(draw_face(), kind)
    assert np.array_equal(decode(front + data).pixels, decode(data).pixels)
    assert upright(front + data) == upright(data)
    assert scaled_down(front + data)[0] == scaled_down(data)[0]


@pytest.mark.parametrize("place_in_file", ["before", "behind"])
@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_metadata_that_the_service_skips_does_not_matter(metadata, place_in_file):
    exif = Image.Exif()
    exif[0x0112] = TURNED_RIGHT
    data = encode(draw_face(), "PNG", exif=exif)
    at = 33 if place_in_file == "before" else len(data) - 12  # behind IHDR, before IEND
    odd = data[:at] + metadata + data[at:]
    assert np.array_equal(decode(odd).pixels, decode(data).pixels)
    assert np.array_equal(upright(odd), upright(data))
    assert upright(odd).size == (200, 160)


def test_damage_behind_other_bytes_is_found():
    whole = encode(noise(640, 480))
    with pytest.raises(OSError, match="damaged or cut short"):
        scaled_down(b"\n" + whole[: len(whole) // 2])


def test_a_thumbnail_in_another_format_is_not_the_picture():
    with pytest.raises(OSError, match="not a JPEG, PNG or WebP picture"):
        upright(b"\0\0\0\x18ftypheic" + bytes(12) + encode(draw_face()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(12_000, 9_000), (12_240, 16_320)])
def test_the_largest_photo_of_a_phone_is_sent_scaled(service, place, capsys, size):
    photo = encode(Image.new("L", size, "grey"))
    service.answer = lambda asked: (
        problem("too-many-pixels", 422, "Scale it down.") if asked.body == photo else prediction("mask")
    )
    place("a.jpg", photo)

    assert main(["predict", "a.jpg", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["image"] == {"width": size[0], "height": size[1]}
    assert sent(service.asked[1]).size[0] < 3000


@pytest.mark.parametrize("lying", [False, True])
def test_a_large_picture_is_sent_scaled_and_its_boxes_are_in_original_pixels(
    service, place, tmp_path, capsys, lying
):
    picture = noise(2000, 3000)
    place("a.jpg", turned(picture) if lying else encode(picture, quality=100, subsampling=0))
    # A face in the middle of the left half of the upright picture.
    box = {"left": 200, "top": 600, "width": 400, "height": 500}
    service.answer = lambda asked: prediction(
        "no_mask", width=sent(asked).width, height=sent(asked).height, box=box
    )

    assert main(["predict", "a.jpg", "--draw", "drawn", "--format", "json"]) == 0

    (asked,) = service.asked
    assert len(asked.body) <= MAX_BYTES
    smaller = sent(asked)
    assert smaller.format == "JPEG"
    assert smaller.size == pytest.approx((2000 * (2 / 3) ** 0.5, 3000 * (2 / 3) ** 0.5), abs=2)
    assert not smaller.getexif()
    scale = 2000 / smaller.width
    result = json.loads(capsys.readouterr().out)
    assert result["image"] == {"width": 2000, "height": 3000}
    assert result["faces"][0]["box"] == pytest.approx({k: v * scale for k, v in box.items()}, abs=2)
    with Image.open(tmp_path / "drawn" / "a.jpg") as copy:
        assert copy.size == (2000, 3000)
        edge = np.asarray(copy)[round(850 * scale), round(200 * scale) + 3]
        assert is_close(edge, COLOURS["no_mask"])


def test_a_picture_that_the_service_refuses_as_too_large_is_sent_scaled(service, place, capsys):
    place("a.png", encode(Image.new("L", (9000, 6000), "grey"), "PNG"))

    def answer(asked):
        size = sent(asked).size
        if size == (9000, 6000):
            return problem("too-many-pixels", 422, "Scale it down.")
        return prediction("mask", width=size[0], height=size[1])

    service.answer = answer
    assert main(["predict", "a.png"]) == 0
    assert len(service.asked) == 2
    assert "refused" not in capsys.readouterr().out


def test_a_scaled_picture_that_is_refused_as_too_large_is_not_retried(service, place):
    place("a.png", encode(Image.new("L", (90, 60), "grey"), "PNG"))
    service.answer = lambda _: problem("too-large", 413, "Scale it down.")

    assert main(["predict", "a.png"]) == 1
    assert len(service.asked) == 2


def test_a_large_file_that_is_no_picture_is_not_sent(service, place, capsys):
    place("a.jpg", bytes(MAX_BYTES + 1))

    assert main(["predict", "a.jpg"]) == 1
    assert service.asked == []
    assert f"its {MAX_BYTES + 1:,} bytes are not a JPEG, PNG or WebP picture" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_noisy_picture_is_scaled_below_the_limit(mode):
    smaller, original = scaled_down(encode(noise(3000, 2400, mode), "PNG", compress_level=0))

    assert len(smaller) <= MAX_BYTES
    assert original == (3000, 2400)


def test_scaling_keeps_the_brightness_of_16_bits_and_makes_transparent_white():
    grey = Image.fromarray(np.full((400, 600), 0x8000, np.uint16))
    clear = Image.new("RGBA", (600, 400), (255, 0, 0, 0))

    for image, value in ((grey, 128), (clear, 255)):
        smaller, _ = scaled_down(encode(image, "PNG"))
        assert np.asarray(Image.open(io.BytesIO(smaller))).mean() == pytest.approx(value, abs=1)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("value", [0x2000, 0x8000, 0xE000])
def test_a_copy_has_the_brightness_that_the_service_sees(place, tmp_path, value):
    clear = np.full((100, 100, 4), (255, 0, 0, 0), np.uint8)
    pictures = {"grey.png": np.full((100, 100), value, np.uint16), "clear.png": clear}
    for name, pixels in pictures.items():
        place(name, encode(Image.fromarray(pixels), "PNG"))

    assert main(["predict", *pictures, "--draw", "drawn"]) == 0

    for name in pictures:
        expected = decode((tmp_path / name).read_bytes()).pixels[-1, -1]
        with Image.open(tmp_path / "drawn" / name) as copy:
            assert copy.getpixel((99, 99)) == tuple(expected)


def test_a_damaged_picture_is_not_scaled():
    whole = encode(noise(640, 480))
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + whole[middle + 1460 :]):
        with pytest.raises(OSError, match="damaged or cut short"):
            scaled_down(damaged)
    for sound in (whole, whole[:-2], whole + bytes(99), whole + b"a video" * 99, whole + whole):
        assert scaled_down(sound)[1] == (640, 480)


def test_a_copy_that_the_disk_has_no_room_for_is_an_error(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(noise(110, 90), tmp_path / "a.jpg")  # one write, which Pillow does not repeat
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
