"""HTML and SVG that cannot be broken out of: text and attributes are escaped where an element is made."""

from __future__ import annotations

from html import escape

VOID = {"meta", "br", "link", "input"}
FOREIGN = {"rect", "line", "path", "circle"}
"""SVG elements that may close themselves."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def join(parts: list[Markup]) -> Markup:
    return Markup("".join(parts))


def element(tag: str, /, *children: str, **attributes: object) -> Markup:
    """``<tag attributes>children</tag>``. A child that is no :class:`Markup` is text.

    ``class_`` stands for ``class``, ``stroke_width`` for ``stroke-width``; an attribute that is None is left out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{said}>")
    inner = "".join(child if isinstance(child, Markup) else escape(child, quote=False) for child in children)
    return Markup(f"<{tag}{said}/>" if tag in FOREIGN and not inner else f"<{tag}{said}>{inner}</{tag}>")


def _short(value: object) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
