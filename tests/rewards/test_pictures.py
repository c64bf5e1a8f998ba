"""Pictures: drawn anew from their pixels, bounded before they are unpacked, without what they carried."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id
from rewards.catalogue.errors import (
    PictureTooLarge,
    PictureTooSmall,
    PictureUnreadable,
    RewardNeedsAnother,
    RewardNotDraft,
)
from rewards.catalogue.lives import publish_reward, steps_of
from rewards.catalogue.offering import draft_reward
from rewards.catalogue.pictures import (
    address_of,
    drawn_anew,
    picture_bytes,
    picture_reward,
    require_draft,
)
from rewards.catalogue.shelf import operators_reward
from rewards.catalogue.tables import PICTURE_BYTES_MAX
from tests.rewards.test_catalogue import offer
from tests.rewards.world import acting

GPS, MAKE, ORIENTATION = 0x8825, 0x010F, 0x0112


def drawn(kind: str = "PNG", size: tuple[int, int] = (320, 200), mode: str = "RGB", **more: object) -> bytes:
    """A picture with a red left half."""
    image = Image.new(mode, size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    out = BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_kept_as_webp_of_the_same_pixels(kind: str) -> None:
    kept = drawn_anew(drawn(kind))
    shown = opened(kept.content).convert("RGB")
    assert (kept.width_px, kept.height_px) == shown.size == (320, 200)
    left, right = shown.getpixel((40, 100)), shown.getpixel((280, 100))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 200 > left[2]
    assert right[2] > 200 > right[0]
    assert opened(kept.content).format == "WEBP"


def test_who_took_it_and_where_is_gone_and_it_stands_upright() -> None:
    exif = Image.Exif()
    exif[MAKE] = "A phone of somebody's"
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    sent = drawn("JPEG", exif=exif, comment=b"my home", icc_profile=b"profile of somebody's screen")
    assert b"somebody" in sent
    kept = drawn_anew(sent)
    for carried in (b"phone", b"somebody", b"my home", b"EXIF", b"Exif", b"ICCP", b"XMP "):
        assert carried not in kept.content
    assert (kept.width_px, kept.height_px) == ImageOps.exif_transpose(opened(sent)).size == (200, 320)
    assert dict(opened(kept.content).getexif()) == {}


def test_what_a_png_carries_beside_its_pixels_is_gone() -> None:
    notes = PngInfo()
    notes.add_text("Author", "somebody")
    notes.add_itxt("XML:com.adobe.xmp", "<x>somebody</x>")
    sent = drawn("PNG", pnginfo=notes) + b"<script>alert('somebody')</script>"
    assert b"somebody" not in drawn_anew(sent).content


def test_a_large_picture_is_made_smaller_and_a_clear_one_white() -> None:
    kept = drawn_anew(drawn(size=(3000, 1500)))
    assert (kept.width_px, kept.height_px) == (1200, 600)
    clear = BytesIO()
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(clear, "PNG")
    assert opened(drawn_anew(clear.getvalue()).content).convert("RGB").getpixel((50, 50)) == (255, 255, 255)
    for mode in ("P", "L", "LA", "1", "I;16"):
        written = BytesIO()
        Image.new(mode, (80, 80)).save(written, "PNG")
        assert drawn_anew(written.getvalue()).width_px == 80


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _webp(width: int, height: int) -> bytes:
    """A canvas announced to the decoder, with nothing on it."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "a PNG of 60,000 a side": _png(60_000, 60_000, zlib.compress(bytes(1 << 20))),
    "a PNG of a long row": _png(2_000_000_000, 1, b""),
    "a WebP canvas of 16,383 a side": _webp(16_383, 16_383),
    "more pixels than fit": _png(4000, 3001, zlib.compress(bytes(1 << 10))),
    "too many bytes": b"\x89PNG" + bytes(PICTURE_BYTES_MAX),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
def test_a_bomb_is_refused_by_what_it_announces(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []
    monkeypatch.setattr(Image.Image, "convert", lambda self, *_, **__: unpacked.append(self.size))
    with pytest.raises(PictureTooLarge):
        drawn_anew(bomb)
    assert unpacked == []


def _moving() -> bytes:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    out = BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def _of_kind(kind: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (80, 80)).save(out, kind)
    return out.getvalue()


WRONG = {
    "nothing": b"",
    "text": b"a",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a page": b"<!doctype html><script>alert(1)</script>",
    "a GIF": _of_kind("GIF"),
    "a BMP": _of_kind("BMP"),
    "a TIFF": _of_kind("TIFF"),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n",
    "half a PNG": drawn()[:200],
    "half a JPEG": drawn("JPEG")[:400],
    "half a WebP": drawn("WEBP")[:60],
    "a WebP's first bytes": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "a PNG that inflates to too little": _png(200, 200, zlib.compress(b"a")),
    "a PNG without pixels": _png(200, 200, b""),
    "a PNG with a wrong checksum": drawn().replace(b"IDAT", b"IDAX"),
    "one that moves": _moving(),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=list(WRONG))
def test_what_is_no_whole_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureUnreadable):
        drawn_anew(content)


@pytest.mark.parametrize("size", [(63, 200), (200, 1)])
def test_a_picture_that_shows_nothing_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureTooSmall):
        drawn_anew(drawn(size=size))


def test_a_draft_gets_a_picture_and_a_published_reward_keeps_its_own(call: Call) -> None:
    editor = acting(call, ActorKind.OPERATOR)
    reward = draft_reward(editor, offer(call))
    first, second = drawn_anew(drawn()), drawn_anew(drawn(size=(100, 100)))
    for each in (first, second, second):
        assert picture_reward(editor, reward, each) == each.digest
    assert operators_reward(editor, reward).picture == address_of(second.digest)
    assert picture_bytes(call, second.digest.hex()) == second.content
    seen = second.digest
    publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=seen, reason="checked")
    with pytest.raises(RewardNotDraft):
        picture_reward(editor, reward, first)
    with pytest.raises(RewardNotDraft):
        require_draft(call, reward)
    for ask in (require_draft, lambda call, reward: picture_reward(call, reward, first)):
        with pytest.raises(NotFound):
            ask(call, new_id())
    assert operators_reward(editor, reward).picture == address_of(second.digest)


def test_whoever_gave_a_draft_its_picture_does_not_publish_it(call: Call) -> None:
    """Whoever gave the same bytes to another reward may: this picture they have looked at as anybody."""
    editor, other, third = (acting(call, ActorKind.OPERATOR) for _ in range(3))
    reward, elsewhere = (draft_reward(editor, offer(call)) for _ in range(2))
    one, two = drawn_anew(drawn()), drawn_anew(drawn(size=(100, 100)))
    picture_reward(third, elsewhere, one)
    picture_reward(other, reward, one)
    for again in (one, two, one):  # the editor sets it again: `other` has chosen it all the same
        picture_reward(editor, reward, again)
    for who in (editor, other):
        with pytest.raises(RewardNeedsAnother):
            publish_reward(who, reward, picture_seen=one.digest, reason="mine")
    assert operators_reward(editor, reward).state == "draft"
    publish_reward(third, reward, picture_seen=one.digest, reason="checked")
    call.db.flush()
    assert [step["state"] for step in steps_of(call, reward)] == ["draft", "published"]


def test_whose_picture_another_replaced_may_look_at_the_new_one(call: Call) -> None:
    editor, other = (acting(call, ActorKind.OPERATOR) for _ in range(2))
    reward = draft_reward(editor, offer(call))
    one, two = drawn_anew(drawn()), drawn_anew(drawn(size=(100, 100)))
    picture_reward(other, reward, one)
    picture_reward(editor, reward, two)
    publish_reward(other, reward, picture_seen=two.digest, reason="checked")


@pytest.mark.parametrize("name", ["", "0" * 64, "zz", "../../etc/passwd", "00" * 31])
def test_an_address_of_nothing_is_not_found(call: Call, name: str) -> None:
    with pytest.raises(NotFound):
        picture_bytes(call, name)
