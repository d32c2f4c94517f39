"""From an Altair chart to SVG for a page: in the page's colours, checked to be a picture and nothing else."""

import re
from typing import Any
from xml.etree import ElementTree

from atlas.reports.cells import cut, plain
from atlas.reports.charts import ACCENT, BAR, FONT, LINE, MUTED, TEXT

_COLOURS = {TEXT: "var(--text)", MUTED: "var(--muted)", LINE: "var(--line)", BAR: "var(--bar)", ACCENT: "var(--accent)"}
_NAMESPACE = "http://www.w3.org/2000/svg"
_ELEMENTS = {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath", "title", "circle"}
_LONG = re.compile(r"(?<=[\s,\"(MLHVCAhvlamc])-?\d+\.\d{3,}(?=[\s,\")MLHVCAZhvlamcz])")
_DEFAULTS = {("pointer-events", "none"), ("opacity", "1"), ("stroke-width", "1"), ("font-weight", "normal")}
_HIDDEN = re.compile(r"aria-|role")


def svg(chart: Any, identity: str, description: str) -> str:
    """Return the picture of a chart; `identity` keeps its ids apart from those of other pictures of the page.

    Raises ValueError if the renderer gives anything but shapes and text.
    """
    import vl_convert

    text = vl_convert.vegalite_to_svg(chart.to_dict())
    root = ElementTree.fromstring(_LONG.sub(lambda found: f"{float(found[0]):.2f}", text))
    for element in root.iter():
        _clean(element, identity)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("style", f"width:{width}px;max-width:100%;min-width:min({width}px,34rem);height:auto")
    root.set("role", "img")
    root.set("aria-label", plain(cut(description)))
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, identity: str) -> None:
    """Leave shape and colour; ids become the page's own."""
    tag = element.tag.rpartition("}")[2]
    if tag not in _ELEMENTS or any("href" in name or name.startswith("on") for name in element.attrib):
        raise ValueError(f"A chart's picture holds <{tag}>, which is not drawn.")
    for name, value in list(element.attrib.items()):
        if (name, value) in _DEFAULTS or _HIDDEN.match(name) or (tag != "svg" and name == "class"):
            del element.attrib[name]
        elif name == "id":
            element.set(name, f"{identity}-{value}")
        elif value.startswith("url(#"):
            element.set(name, value.replace("url(#", f"url(#{identity}-"))
        elif value == FONT:
            del element.attrib[name]
        elif value.lower() in _COLOURS:
            element.set(name, _COLOURS[value.lower()])
