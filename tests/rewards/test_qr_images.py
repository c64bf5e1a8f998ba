"""Pictures that a scanner reads at the size of a phone and smaller."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from PIL.PngImagePlugin import PngImageFile

from kernel.errors import BrokenInvariant
from kernel.signing import Signer
from rewards.qr_images import (
    DESCRIPTION,
    LEAST_MODULE_PX,
    MODULE_PX,
    MODULES,
    PNG_SIDE_PX,
    QUIET_ZONE,
    qr_png,
    qr_svg,
)
from rewards.voucher_codes import issue
from tests.qr_reading import read_qr

CODE = issue(
    Signer(3, Ed25519PrivateKey.from_private_bytes(bytes(32))),
    code_id=bytes(16),
    scope_no=9,
    not_after=datetime(2026, 11, 20, 4, 0, tzinfo=UTC),
)


ALSO_A_BAR_CODE = (
    "CV1CIB64UG4PN2NA3D63V7UXUMDI7PF2AAAAAEWV76FYAFPRIBEYLJKEGZOD45FCM4RPPXF5WD4TK34NZIGQUQ2VNKSJ7ARC35EBRIDLLUW"
    "U7SGS3V2BJGYGLVHOZVP23SD5LMJZIDIIEBWHAID"
)
"""A reader of all kinds finds the ITF number 1115 in the rows of its picture."""


def _read(image: Image.Image) -> list[tuple[str, str]]:
    return [(found.text, found.ec_level) for found in read_qr(image)]


def _svg_as_image(svg: str, *, module_px: int) -> Image.Image:
    side = MODULES + 2 * QUIET_ZONE
    image = Image.new("L", (side * module_px, side * module_px), 255)
    draw = ImageDraw.Draw(image)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", svg):
        left, top = int(x) * module_px, int(y) * module_px
        draw.rectangle((left, top, left + int(width) * module_px - 1, top + module_px - 1), fill=0)
    return image


def test_the_png_is_version_six_at_level_m_and_six_pixels_a_module_or_more() -> None:
    image = Image.open(io.BytesIO(qr_png(CODE, "兑换券")))
    assert image.size == (PNG_SIDE_PX, PNG_SIDE_PX)
    assert MODULE_PX >= LEAST_MODULE_PX
    assert PNG_SIDE_PX == (41 + 8) * MODULE_PX
    assert _read(image) == [(CODE, "M")]


def test_the_png_is_read_at_two_hundred_pixels() -> None:
    image = (
        Image.open(io.BytesIO(qr_png(CODE, "兑换券")))
        .convert("L")
        .resize((200, 200), Image.Resampling.BILINEAR)
    )
    assert _read(image) == [(CODE, "M")]


def test_a_code_whose_rows_pass_for_a_bar_code_is_read_by_who_looks_for_qr_codes() -> None:
    image = Image.open(io.BytesIO(qr_png(ALSO_A_BAR_CODE, "兑换券")))
    assert len(zxingcpp.read_barcodes(image)) == 2
    assert [found.text for found in read_qr(image)] == [ALSO_A_BAR_CODE]


def _tilted(image: Image.Image) -> Image.Image:
    """Seen from below, in true perspective: the upper edge is 12 % shorter."""
    side = image.width
    narrowed = 1 / 0.88
    slope = (narrowed - 1) / side
    across = (narrowed, slope * side / 2, (1 - narrowed) * side / 2)
    plane = (*across, 0, narrowed, 0, 0, slope)
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, plane, Image.Resampling.BICUBIC, fillcolor=255
    )


DISTORTIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "rotated": lambda image: image.rotate(33, Image.Resampling.BICUBIC, expand=True, fillcolor=255),
    "tilted": _tilted,
    "upside down": lambda image: image.rotate(180),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "pale": lambda image: ImageEnhance.Contrast(image).enhance(0.18),
    "inverted for the dark": ImageOps.invert,
}


@pytest.mark.parametrize("name", DISTORTIONS)
def test_a_shaky_dim_or_turned_picture_of_two_hundred_pixels_is_read(name: str) -> None:
    small = (
        Image.open(io.BytesIO(qr_png(CODE, "兑换券")))
        .convert("L")
        .resize((200, 200), Image.Resampling.LANCZOS)
    )
    assert _read(DISTORTIONS[name](small)) == [(CODE, "M")]


@pytest.mark.parametrize("module_px", [3, 4, 8])
def test_the_svg_shows_the_same_code(module_px: int) -> None:
    assert _read(_svg_as_image(qr_svg(CODE, "兑换券"), module_px=module_px)) == [(CODE, "M")]


def test_the_svg_has_a_title_for_those_who_do_not_see_it() -> None:
    root = ET.fromstring(qr_svg(CODE, 'a <reward> & "more"'))  # noqa: S314 - our own output
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text == root.get("aria-label") == 'a <reward> & "more"'
    assert root.get("role") == "img"
    described = root.find("{http://www.w3.org/2000/svg}desc")
    assert described is not None
    assert described.text == DESCRIPTION
    assert [element for element in root.iter() if element.get("id")] == []
    side = (MODULES + 2 * QUIET_ZONE) * MODULE_PX
    assert root.get("width") == str(side)


def test_the_png_carries_the_same_words() -> None:
    image = Image.open(io.BytesIO(qr_png(CODE, "兑换券:面包 · Voucher: Bread")))
    assert isinstance(image, PngImageFile)
    assert image.text == {"Title": "兑换券:面包 · Voucher: Bread", "Description": DESCRIPTION}


def test_a_short_alias_is_drawn_too_but_no_text_outside_the_alphabet() -> None:
    assert _read(Image.open(io.BytesIO(qr_png("881234567890123456", "兑换券")))) == [
        ("881234567890123456", "M")
    ]
    for text in ("cv1" + CODE[3:], "兑换券"):
        with pytest.raises(BrokenInvariant):
            qr_png(text, "兑换券")
