"""What a till's camera reads of a picture."""

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

Picture = Image.Image | NDArray[np.uint8]

ONLY_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def read_qr(picture: Picture) -> list[zxingcpp.Barcode]:
    """The QR codes in `picture`, and no other kind: rows of modules may pass for a bar code's lines."""
    return zxingcpp.read_barcodes(picture, formats=ONLY_QR)


def read_code(picture: Picture) -> str:
    """The words of the one QR code in `picture`."""
    (found,) = read_qr(picture)
    return str(found.text)
