"""A picture of the screen that Neovim draws, as a window: its own cells, colours and cursor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from tests.editors.screen import Cell, Screen

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
SIZE_PX = 30
LINE_PX = 42
MARGIN_PX = 36
BAR_PX = 64
RADIUS_PX = 20
LIGHTS = ("#ff5f57", "#febc2e", "#28c840")

Font = ImageFont.FreeTypeFont


def draw(screen: Screen, title: str, n_rows: int) -> Image.Image:
    """Return the first `n_rows` rows of a screen in a window with a title. Twice the usual size, for sharp displays."""
    fonts = {style: ImageFont.truetype(str(FONTS / f"DejaVuSansMono{style}.ttf"), SIZE_PX) for style in _STYLES.values()}
    cell_px = fonts[""].getlength("M")
    width = round(cell_px * len(screen.cells[0])) + 2 * MARGIN_PX
    height = BAR_PX + LINE_PX * n_rows + MARGIN_PX
    background = _colour(screen.background)
    image = Image.new("RGBA", (width, height), background)
    pen = ImageDraw.Draw(image)
    for row, cells in enumerate(screen.cells[:n_rows]):
        for column, cell in enumerate(cells):
            corner = (MARGIN_PX + cell_px * column, BAR_PX + LINE_PX * row)
            _draw_cell(pen, screen, cell, corner, cell_px, fonts)
    row, column = screen.cursor
    left, top = MARGIN_PX + cell_px * column, BAR_PX + LINE_PX * row
    pen.rectangle((left - 1, top + 2, left + 2, top + LINE_PX - 4), fill=_colour(screen.foreground))
    _draw_bar(pen, width, title, fonts[""], background)
    return _rounded(image)


def animate(frames: list[tuple[Image.Image, int]], path: Path, width_px: int = 820) -> None:
    """Write pictures as an endless GIF. frames: each with the milliseconds for which it is shown."""
    height = round(width_px * frames[0][0].height / frames[0][0].width)
    small = [image.convert("RGB").resize((width_px, height)) for image, _ in frames]
    palette = small[-1].quantize(64, dither=Image.Dither.NONE)
    first, *others = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    durations = [duration for _, duration in frames]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


_STYLES = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique", (True, True): "-BoldOblique"}


def _draw_cell(
    pen: ImageDraw.ImageDraw, screen: Screen, cell: Cell, corner: tuple[float, float], cell_px: float, fonts: dict[str, Font]
) -> None:
    attributes: dict[str, Any] = screen.highlights.get(cell.highlight, {})
    foreground = attributes.get("foreground", screen.foreground)
    background = attributes.get("background", screen.background)
    if attributes.get("reverse"):
        foreground, background = background, foreground
    left, top = corner
    if background != screen.background:
        pen.rectangle((left, top, left + cell_px, top + LINE_PX - 1), fill=_colour(background))
    if cell.text.strip():
        style = _STYLES[bool(attributes.get("bold")), bool(attributes.get("italic"))]
        pen.text((left, top + (LINE_PX - SIZE_PX) / 2 - 2), cell.text, font=fonts[style], fill=_colour(foreground))


def _draw_bar(pen: ImageDraw.ImageDraw, width: int, title: str, font: Font, background: str) -> None:
    pen.rectangle((0, 0, width, BAR_PX - 12), fill="#2a2d36")
    for index, light in enumerate(LIGHTS):
        left = MARGIN_PX + index * 34
        pen.ellipse((left, 16, left + 20, 36), fill=light)
    pen.text((width / 2, 26), title, font=font.font_variant(size=24), fill="#a0a4b0", anchor="mm")


def _rounded(image: Image.Image) -> Image.Image:
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, image.width - 1, image.height - 1), RADIUS_PX, fill=255)
    image.putalpha(mask)
    return image


def _colour(rgb: int) -> str:
    return f"#{rgb:06x}"
