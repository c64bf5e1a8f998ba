"""Fifty codes each, drawn, spoiled as a bad camera spoils them, and read: all of them, by another library.

Every picture is the served PNG shrunk to 200 pixels a side, quiet zone included: four pixels a module.
What is random is drawn from the trial's number, so each run sees the same pictures.
"""

import io
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from qrcode.util import MODE_ALPHA_NUM

from kernel.signing import Signer
from rewards.qr_images import CODE_VERSION, LEAST_MODULE_PX, QUIET_ZONE, _drawn, qr_png, qr_svg
from rewards.voucher_codes import LENGTH, MOST_SCOPE, issue
from tests.qr_reading import read_qr

TRIALS = 50
SIDE_PX = 200
BLUR_PX = 1.5
CONTRAST = 0.18
LARGEST_TURN_DEGREES = 45
TILT_DEGREES = 30
EYE_SIDES = 2
"""How far the camera is from the middle of the code, in sides of the code: nearly too near."""
LEVEL_M, FORMAT_MASK = 0b00, 0b101010000010010
SIGNER = Signer(3, Ed25519PrivateKey.from_private_bytes(bytes(32)))
Spoil = Callable[[Image.Image, Generator], Image.Image]


def _code(number: int) -> str:
    chance = default_rng(number)
    return issue(
        SIGNER,
        code_id=chance.bytes(16),
        scope_no=int(chance.integers(0, MOST_SCOPE)),
        not_after=datetime(2026, 11, 20, 4, 0, tzinfo=UTC) + timedelta(seconds=30 * number),
    )


def _photographed(code: str) -> Image.Image:
    served = Image.open(io.BytesIO(qr_png(code, "兑换券"))).convert("L")
    return served.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def _blurred(image: Image.Image, _: Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(BLUR_PX))


def _pale(image: Image.Image, chance: Generator) -> Image.Image:
    """18 % between the darkest and the brightest, somewhere between a dark and a bright room, with noise."""
    grey = (np.asarray(image, dtype=np.float64) - 127.5) * CONTRAST + chance.uniform(60, 195)
    noisy = grey + chance.normal(0, 1.5, grey.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _turned(image: Image.Image, chance: Generator) -> Image.Image:
    degrees = chance.uniform(-LARGEST_TURN_DEGREES, LARGEST_TURN_DEGREES)
    return _by(image, chance.choice([degrees, math.copysign(LARGEST_TURN_DEGREES, degrees)]))


def _by(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _seen_aslant(image: Image.Image, chance: Generator) -> Image.Image:
    """As a pinhole camera sees it that looks at the phone from any side, 30° from above."""
    side, field = image.width, round(image.width * 1.5)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) - 0.5
    towards = chance.uniform(0, 2 * math.pi)
    level = np.array([math.cos(towards), math.sin(towards)])
    slope = np.array([-level[1], level[0]])
    along, across = corners @ level, corners @ slope
    tilt = math.radians(TILT_DEGREES)
    nearer = EYE_SIDES / (EYE_SIDES + across * math.sin(tilt))
    seen = (np.outer(along, level) + np.outer(across * math.cos(tilt), slope)) * nearer[:, None]
    return image.transform(
        (field, field),
        Image.Transform.PERSPECTIVE,
        _plane(seen * side + field / 2, (corners + 0.5) * side),
        Image.Resampling.BICUBIC,
        fillcolor=255,
    )


def _plane(seen: NDArray[np.float64], corners: NDArray[np.float64]) -> tuple[float, ...]:
    """The eight coefficients that take each point seen back to the point of the picture."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(wanted)).tolist())


def _all_but_blurred(image: Image.Image, chance: Generator) -> Image.Image:
    return _pale(_turned(_seen_aslant(image, chance), chance), chance)


def _turned_and_blurred(image: Image.Image, chance: Generator) -> Image.Image:
    return _blurred(_turned(image, chance), chance)


def _blurred_and_pale(image: Image.Image, chance: Generator) -> Image.Image:
    return _pale(_blurred(image, chance), chance)


SPOILT: dict[str, Spoil] = {
    "blurred by 1.5 px": _blurred,
    "at 18 % contrast": _pale,
    "turned by up to 45°": _turned,
    "in perspective": _seen_aslant,
    "in perspective, turned and pale": _all_but_blurred,
    "turned and blurred": _turned_and_blurred,
    "blurred and pale": _blurred_and_pale,
}


@pytest.mark.parametrize("how", SPOILT)
def test_fifty_of_fifty_codes_are_read_at_two_hundred_pixels(how: str) -> None:
    codes = [_code(number) for number in range(TRIALS)]
    read = [
        [found.text for found in read_qr(SPOILT[how](_photographed(code), default_rng(number)))]
        for number, code in enumerate(codes)
    ]
    assert read == [[code] for code in codes]


def test_codes_turned_by_exactly_forty_five_degrees_both_ways_are_read() -> None:
    for number, degrees in enumerate((-LARGEST_TURN_DEGREES, LARGEST_TURN_DEGREES)):
        found = read_qr(_by(_photographed(_code(number)), degrees))
        assert [each.text for each in found] == [_code(number)]


def test_every_code_is_version_six_at_level_m_by_its_own_format_bits() -> None:
    for number in range(TRIALS):
        code = _code(number)
        assert len(code) == LENGTH == 147
        modules = _modules(qr_png(code, "兑换券"))
        assert (len(modules) - 17) / 4 == CODE_VERSION == 6
        assert _format_bits(modules) >> 13 == LEVEL_M


def test_a_code_is_written_in_alphanumeric_mode() -> None:
    drawn = _drawn(_code(0))
    assert [part.mode for part in drawn.data_list] == [MODE_ALPHA_NUM]
    assert drawn.version == CODE_VERSION


def test_a_picture_is_three_hundred_pixels_or_more_and_six_a_module() -> None:
    image = Image.open(io.BytesIO(qr_png(_code(0), "兑换券")))
    assert image.width == image.height >= 300
    assert image.width / (17 + 4 * CODE_VERSION + 2 * QUIET_ZONE) >= LEAST_MODULE_PX == 6
    assert f'width="{image.width}" height="{image.width}"' in qr_svg(_code(0), "兑换券")


def _modules(png: bytes) -> NDArray[np.bool_]:
    """Dark modules of a picture, measured from it alone: the upper left finder is seven modules wide."""
    dark = np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 128
    rows, columns = np.nonzero(dark)
    symbol = dark[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    finder = int(np.argmin(symbol[0]))
    module = finder // 7
    assert module * 7 == finder
    assert rows.min() == columns.min() == 4 * module  # the quiet zone of ISO/IEC 18004
    return symbol[module // 2 :: module, module // 2 :: module]


def _format_bits(modules: NDArray[np.bool_]) -> int:
    """Both copies of the fifteen bits of ISO/IEC 18004, which must agree, without their mask."""
    last = len(modules) - 1
    around = [(8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)] + [
        (row, 8) for row in (7, 5, 4, 3, 2, 1, 0)
    ]
    apart = [(last - row, 8) for row in range(7)] + [(8, last - 7 + column) for column in range(8)]
    first, second = (
        int("".join(str(int(modules[place])) for place in places), 2) for places in (around, apart)
    )
    assert first == second
    return first ^ FORMAT_MASK
