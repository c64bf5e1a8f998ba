"""A code as a picture that old scanners read: at least 6 px a module, level M, quiet zone of four.

Voucher codes are drawn as version 6, alphanumeric; a lower-case letter would cost two versions, so
anything outside that alphabet is refused here rather than drawn worse. Never call this with a
transaction open.
"""

import io
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import qrcode
from PIL.PngImagePlugin import PngInfo
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.pil import PilImage
from qrcode.util import QRData

from kernel.errors import BrokenInvariant
from rewards.voucher_codes import LENGTH

MODULE_PX = 8
LEAST_MODULE_PX = 6
"""Decoding fails near a blur of half a module; 6 px keep a shaking hand readable."""
QUIET_ZONE = 4
CODE_VERSION = 6
MODULES = 17 + 4 * CODE_VERSION
_ALPHANUMERIC: Literal[2] = 2
"""The mode's number in ISO/IEC 18004, which is also the library's."""
PNG_SIDE_PX = (MODULES + 2 * QUIET_ZONE) * MODULE_PX


DESCRIPTION = (
    "供收银端扫描的二维码,每 30 秒更换,截图无效。"
    " A QR code for the till to scan; it changes every 30 seconds, and a screenshot of it is worthless."
)
"""What the picture is, for who does not see it; its title says of what."""


def qr_svg(text: str, title: str) -> str:
    """One scalable picture with `title` for screen readers; modules are units of the view box.

    The name is no reference to an id: a page may show several codes, and ids are the page's own.
    """
    matrix = _drawn(text).get_matrix()
    side = len(matrix)
    path = "".join(_runs(number, row) for number, row in enumerate(matrix))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)}'
        f' viewBox="0 0 {side} {side}" width="{side * MODULE_PX}" height="{side * MODULE_PX}"'
        f' shape-rendering="crispEdges"><title>{escape(title)}</title><desc>{DESCRIPTION}</desc>'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{path}"/></svg>'
    )


def qr_png(text: str, title: str) -> bytes:
    """The same picture as PNG, black on white, `MODULE_PX` pixels a module; it carries its words along."""
    out, words = io.BytesIO(), PngInfo()
    words.add_itxt("Title", title)
    words.add_itxt("Description", DESCRIPTION)
    _drawn(text).make_image().save(out, format="PNG", pnginfo=words)
    return out.getvalue()


def _drawn(text: str) -> "qrcode.QRCode[PilImage]":
    fits = len(text) == LENGTH
    drawn = qrcode.QRCode(
        version=CODE_VERSION if fits else None,
        error_correction=ERROR_CORRECT_M,
        box_size=MODULE_PX,
        border=QUIET_ZONE,
        image_factory=PilImage,
    )
    try:
        drawn.add_data(QRData(text.encode("ascii"), mode=_ALPHANUMERIC), optimize=0)
    except (UnicodeEncodeError, ValueError) as error:
        raise BrokenInvariant("a code is drawn from digits and capital letters only") from error
    drawn.make(fit=not fits)
    return drawn


def _runs(number: int, row: list[bool]) -> str:
    """Dark runs of one row as path steps."""
    steps, start = [], None
    for column, dark in enumerate([*row, False]):
        if dark and start is None:
            start = column
        elif not dark and start is not None:
            steps.append(f"M{start} {number}h{column - start}v1h-{column - start}z")
            start = None
    return "".join(steps)
