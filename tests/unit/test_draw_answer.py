"""Boxes and labels are drawn legibly, in colours that people with colour-vision deficiency can distinguish."""

import itertools

import numpy as np
import pytest
from PIL import Image

from maskwatch.draw import COLOURS, LETTERS, draw
from tests.service import prediction

# How linear RGB looks to those who lack the cones for long, medium or short waves (Machado et al. 2009, severity 1).
BLINDNESS = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}

NAMED = {"white": "#ffffff", "black": "#000000"}


def rgb(colour):
    return np.array(list(bytes.fromhex(colour.removeprefix("#"))))


def linear(colour):
    value = rgb(colour) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(seen):
    """CIE L*a*b* of linear RGB, D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt((to_xyz @ np.clip(seen, 0, 1)) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def drawn(*labels, size=(640, 480), **options):
    return np.asarray(draw(Image.new("RGB", size, "white"), prediction(*labels, **options)))


@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_colours_can_be_distinguished_with_colour_vision_deficiency(kind):
    seen = {label: lab(BLINDNESS[kind] @ linear(colour)) for label, colour in COLOURS.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 20, (one, other)  # one is just seen


@pytest.mark.parametrize("label", COLOURS)
def test_text_has_enough_contrast_on_each_colour(label):
    luminances = [
        linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (COLOURS[label], NAMED[LETTERS[label]])
    ]
    assert (max(luminances) + 0.05) / (min(luminances) + 0.05) >= 4.5  # WCAG's AA


@pytest.mark.parametrize("label", COLOURS)
def test_a_face_has_a_box_in_the_colour_of_its_label(label):
    pixels = drawn(label, box={"left": 200, "top": 100, "width": 80, "height": 120})

    coloured = np.argwhere((pixels == rgb(COLOURS[label])).all(axis=-1))
    top, left = coloured.min(axis=0)
    bottom, right = coloured.max(axis=0)
    assert (left, bottom) == (200, 220)
    assert top < 100
    assert right >= 280  # the label stands above the box, and may be wider
    assert (pixels[150, 240] == 255).all()


@pytest.mark.parametrize(("left", "top"), [(0, 0), (620, 0), (620, 460)])
def test_the_label_of_a_face_at_an_edge_is_fully_visible(left, top):
    def size_of_label(left, top):
        pixels = drawn("incorrect", box={"left": left, "top": top, "width": 20, "height": 20})
        coloured = (pixels == rgb(COLOURS["incorrect"])).all(axis=-1)
        return coloured.sum(axis=1).max(), (coloured.sum(axis=1) > 40).sum()

    assert size_of_label(left, top) == pytest.approx(size_of_label(300, 200), abs=1)


def test_without_a_face_the_box_is_around_the_whole_picture():
    pixels = drawn()

    for row, column in ((479, 320), (240, 0), (240, 639)):
        assert (pixels[row, column] == rgb(COLOURS["no_mask"])).all()


def test_line_width_scales_with_the_picture():
    box = {"left": 200, "top": 100, "width": 80, "height": 120}

    def thickness(pixels, scale):
        return (pixels[160 * scale, 190 * scale : 240 * scale] == rgb(COLOURS["mask"])).all(axis=-1).sum()

    large = drawn("mask", size=(6400, 4800), box={side: 10 * pixels for side, pixels in box.items()})
    assert thickness(drawn("mask", box=box), 1) == 2
    assert thickness(large, 10) == 21


def test_the_original_is_unchanged_and_copies_of_grey_pictures_are_coloured():
    picture = Image.new("L", (640, 480), 255)

    assert draw(picture, prediction("mask")).mode == "RGB"
    assert picture.getextrema() == (255, 255)
