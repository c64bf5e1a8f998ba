"""A picture is drawn anew from its pixels alone, so nothing hostile or personal that came with it stays.

What a file says of its size is read before anything is unpacked: a bomb is refused by its announcement, and
one that lies about it is unpacked no further than it announced. The bytes kept are ours; their digest is the
picture's address, which may be kept by caches for ever.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from struct import error as short_of_bytes
from struct import unpack_from
from uuid import UUID

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import public_id
from rewards.catalogue.errors import PictureTooLarge, PictureTooSmall, PictureUnreadable, RewardNotDraft
from rewards.catalogue.lives import held, note_picture
from rewards.catalogue.reward_states import RewardState
from rewards.catalogue.tables import PICTURE_BYTES_MAX, PICTURE_SIDE_MAX, RewardPicture
from rewards.tables import Reward

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
KEPT_AS = "image/webp"
SIDE_MIN, SIDE_MAX, PIXELS_MAX = 64, 8_000, 12_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")
_QUALITY = 80
_WHITE = (255, 255, 255)
_BROKEN = (
    *(UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError),
    *(short_of_bytes, IndexError, KeyError, TypeError),
)
"""What reading a file raises that is not what it says it is."""


@dataclass(frozen=True)
class Drawn:
    """A picture as it is kept."""

    content: bytes
    width_px: int
    height_px: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of its bytes."""
        return sha256(self.content).digest()


def drawn_anew(content: bytes) -> Drawn:
    """The picture as we keep it: upright, at most 1,200 pixels a side, WebP without any metadata.

    Refuses, in this order: `PictureTooLarge` (bytes), `PictureUnreadable`, `PictureTooLarge` (pixels),
    `PictureTooSmall`.
    """
    require(len(content) <= PICTURE_BYTES_MAX, PictureTooLarge(limit_bytes=PICTURE_BYTES_MAX))
    _require_size(_webp_size(content))
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            _require_size(opened.size)
            require(getattr(opened, "n_frames", 1) == 1, PictureUnreadable("it moves"))
            opened.draft("RGB", (PICTURE_SIDE_MAX, PICTURE_SIDE_MAX))
            return _kept(opened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLarge(limit_pixels=PIXELS_MAX) from error
    except _BROKEN as error:
        raise PictureUnreadable(pointer="/body") from error


def _kept(opened: Image.Image) -> Drawn:
    upright = ImageOps.exif_transpose(opened)
    plain = upright.convert("RGBA") if upright.has_transparency_data else upright.convert("RGB")
    plain.thumbnail((PICTURE_SIDE_MAX, PICTURE_SIDE_MAX))
    canvas = Image.new("RGB", plain.size, _WHITE)
    canvas.paste(plain, mask=plain if plain.mode == "RGBA" else None)  # a new one: pixels and nothing else
    written = BytesIO()
    canvas.save(written, "WEBP", quality=_QUALITY, method=4)
    return Drawn(written.getvalue(), *canvas.size)


def _require_size(size: tuple[int, int] | None) -> None:
    if size is None:
        return
    width, height = size
    fits = width <= SIDE_MAX and height <= SIDE_MAX and width * height <= PIXELS_MAX
    require(fits, PictureTooLarge(width_px=width, height_px=height, limit_pixels=PIXELS_MAX))
    require(min(size) >= SIDE_MIN, PictureTooSmall(width_px=width, height_px=height, least_px=SIDE_MIN))


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """The size that a WebP announces, as its decoder makes room for it on opening; None for what is none."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    try:
        if content[12:16] == b"VP8X":
            wide, high = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        elif content[12:16] == b"VP8L":
            (packed,) = unpack_from("<I", content, 21)
            wide, high = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        else:
            wide, high = (side & 0x3FFF for side in unpack_from("<HH", content, 26))
    except short_of_bytes as error:
        raise PictureUnreadable(pointer="/body") from error
    return wide, high


def require_draft(call: Call, reward_id: UUID) -> None:
    """Refuse `NotFound` and `RewardNotDraft` before a byte of a picture is taken."""
    row = call.db.execute(select(Reward.region_id, Reward.state).where(Reward.id == reward_id)).one_or_none()
    require(row is not None and row.region_id == call.region, NotFound("no such reward"))
    require(row is not None and row.state == RewardState.DRAFT, RewardNotDraft())


def picture_reward(call: Call, reward_id: UUID, drawn: Drawn) -> bytes:
    """Give a draft its picture, in the place of the one it had; returns the digest.

    Refuses `NotFound`, `RewardNotDraft`.
    """
    reward = held(call, reward_id)
    require(reward.state == RewardState.DRAFT, RewardNotDraft(state=reward.state))
    call.db.execute(
        insert(RewardPicture)
        .values(
            digest=drawn.digest,
            region_id=call.region,
            width_px=drawn.width_px,
            height_px=drawn.height_px,
            content=drawn.content,
            principal=call.actor.principal,
            recorded_at=call.now,
        )
        .on_conflict_do_nothing()
    )
    done = call.db.execute(
        update(Reward)
        .where(Reward.id == reward_id, Reward.state == RewardState.DRAFT.value)
        .values(picture_digest=drawn.digest)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a held reward changed under us")
    note_picture(call, reward_id, drawn.digest)
    audit(call, "reward.pictured", subject=public_id("rwd", reward_id), sha256=drawn.digest.hex())
    return drawn.digest


def picture_bytes(call: Call, digest: str) -> bytes:
    """The bytes of a picture by the hexadecimal of its digest; refuses `NotFound`."""
    try:
        known = bytes.fromhex(digest)
    except ValueError as error:
        raise NotFound("no such picture") from error
    found = call.db.scalar(select(RewardPicture.content).where(RewardPicture.digest == known))
    if found is None:
        raise NotFound("no such picture")
    return bytes(found)


def address_of(digest: bytes | None) -> str | None:
    """Where a picture is served."""
    return None if digest is None else f"/v1/public/pictures/{bytes(digest).hex()}"
