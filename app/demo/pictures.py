"""Pictures of the demo city's rewards, drawn here from a few shapes, so that nobody's pictures are used.

Each is drawn three times as large and made smaller, which smooths its edges.
"""

from collections.abc import Callable
from io import BytesIO

from PIL import Image, ImageDraw

WIDTH, HEIGHT, FINER = 600, 400, 3
Canvas = ImageDraw.ImageDraw
Colour = str
WHITE, INK, WOOD, LEAF = "#ffffff", "#23302a", "#a8703a", "#2f8f5b"


def reward_picture(key: str) -> bytes:
    """A reward's picture as PNG."""
    background, draw = _DRAWN[key]
    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), background)
    draw(ImageDraw.Draw(image))
    written = BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(written, "PNG")
    return written.getvalue()


def _box(canvas: Canvas, at: tuple[int, int, int, int], colour: Colour, *, round_px: int = 0) -> None:
    canvas.rounded_rectangle([each * FINER for each in at], round_px * FINER, fill=colour)


def _disc(canvas: Canvas, x: int, y: int, radius: int, colour: Colour) -> None:
    canvas.ellipse([each * FINER for each in (x - radius, y - radius, x + radius, y + radius)], fill=colour)


def _ring(canvas: Canvas, x: int, y: int, radius: int, colour: Colour) -> None:
    at = [each * FINER for each in (x - radius, y - radius, x + radius, y + radius)]
    canvas.ellipse(at, outline=colour, width=10 * FINER)


def _shape(canvas: Canvas, points: list[tuple[int, int]], colour: Colour) -> None:
    canvas.polygon([(x * FINER, y * FINER) for x, y in points], fill=colour)


def _line(canvas: Canvas, points: list[tuple[int, int]], colour: Colour, *, wide: int = 10) -> None:
    scaled = [(x * FINER, y * FINER) for x, y in points]
    canvas.line(scaled, fill=colour, width=wide * FINER, joint="curve")


def _train(canvas: Canvas) -> None:
    _box(canvas, (170, 80, 430, 300), WHITE, round_px=40)
    _box(canvas, (200, 120, 400, 200), "#9cc9e8", round_px=14)
    _box(canvas, (292, 120, 308, 200), WHITE)
    for x in (215, 385):
        _disc(canvas, x, 250, 16, "#f2b441")
    _line(canvas, [(190, 340), (220, 300)], WHITE)
    _line(canvas, [(410, 340), (380, 300)], WHITE)
    _line(canvas, [(150, 345), (450, 345)], WHITE)


def _loaf(canvas: Canvas) -> None:
    _box(canvas, (130, 150, 470, 310), "#c98a4b", round_px=80)
    for x in (210, 290, 370):
        _line(canvas, [(x, 185), (x + 30, 240)], "#f0cfa2", wide=14)


def _cup(canvas: Canvas) -> None:
    _ring(canvas, 405, 200, 45, "#5b3a1e")
    _shape(canvas, [(200, 120), (400, 120), (370, 310), (230, 310)], "#5b3a1e")
    _box(canvas, (190, 105, 410, 135), INK, round_px=12)
    _disc(canvas, 300, 215, 34, "#7fbf8f")


def _books(canvas: Canvas) -> None:
    colours = ("#c8553d", "#f2b441", "#3f7cac", "#588b8b")
    for number, colour in enumerate(colours):
        _box(canvas, (160 + 72 * number, 110 + 12 * (number % 2), 220 + 72 * number, 310), colour, round_px=6)
    _box(canvas, (120, 310, 480, 328), WOOD, round_px=6)


def _greens(canvas: Canvas) -> None:
    for x, y, radius in ((240, 210, 75), (360, 210, 75), (300, 160, 85), (300, 240, 80)):
        _disc(canvas, x, y, radius, LEAF)
    for x in (250, 300, 350):
        _line(canvas, [(300, 330), (x, 170)], "#c9ecd2", wide=8)


def _tree(canvas: Canvas) -> None:
    _box(canvas, (282, 220, 318, 350), WOOD, round_px=8)
    for x, y, radius in ((300, 140, 85), (230, 190, 60), (370, 190, 60)):
        _disc(canvas, x, y, radius, LEAF)


def _bun(canvas: Canvas) -> None:
    _disc(canvas, 300, 230, 105, "#f6ead7")
    _box(canvas, (190, 270, 410, 340), "#8a5a2b", round_px=16)
    for x in (265, 300, 335):
        _line(canvas, [(x, 150), (300, 190)], "#d8c3a1", wide=6)


def _parking(canvas: Canvas) -> None:
    _box(canvas, (200, 70, 400, 330), WHITE, round_px=28)
    _box(canvas, (255, 120, 290, 290), "#2b6cb0")
    _ring(canvas, 305, 170, 50, "#2b6cb0")


def _bicycle(canvas: Canvas) -> None:
    for x in (190, 410):
        _ring(canvas, x, 260, 70, WHITE)
    _line(canvas, [(190, 260), (270, 160), (370, 160), (290, 260), (190, 260)], WHITE)
    _line(canvas, [(290, 260), (262, 140)], WHITE)
    _line(canvas, [(410, 260), (362, 130), (395, 118)], WHITE)
    _line(canvas, [(235, 138), (290, 138)], WHITE, wide=14)


def _seats(canvas: Canvas) -> None:
    for row, colour in enumerate(("#d96c75", "#c8505c", "#b23a48")):
        for number in range(5 - row % 2):
            x = 130 + 72 * number + 36 * (row % 2)
            _box(canvas, (x, 120 + 80 * row, x + 58, 178 + 80 * row), colour, round_px=16)


def _garden(canvas: Canvas) -> None:
    for row in range(3):
        _box(canvas, (130, 150 + 65 * row, 470, 195 + 65 * row), "#7a5230", round_px=12)
        for number in range(6):
            _disc(canvas, 160 + 56 * number, 150 + 65 * row, 17, LEAF)


def _lunch(canvas: Canvas) -> None:
    _disc(canvas, 300, 210, 130, WHITE)
    _disc(canvas, 300, 210, 95, "#eef3ee")
    for x, y, colour in ((270, 190, LEAF), (330, 195, "#e9a03b"), (300, 240, "#d9534f")):
        _disc(canvas, x, y, 36, colour)


_DRAWN: dict[str, tuple[Colour, Callable[[Canvas], None]]] = {
    "transit-pass": ("#2f6f9f", _train),
    "loaf": ("#f6e3c5", _loaf),
    "own-cup-coffee": ("#e6d5c3", _cup),
    "book-discount": ("#e8ecf3", _books),
    "fresh-greens": ("#e3f3e6", _greens),
    "adopt-a-tree": ("#cfe8f7", _tree),
    "breakfast-bun": ("#f2d9b3", _bun),
    "parking-hour": ("#2b6cb0", _parking),
    "bike-repair": ("#3a8f8a", _bicycle),
    "concert-seat": ("#3b2a35", _seats),
    "garden-day": ("#bfe3c5", _garden),
    "student-lunch": ("#f4d58d", _lunch),
}
