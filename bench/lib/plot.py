"""A bar plot as SVG, readable on a light and on a dark page.

Written by hand: a plot of a dozen bars needs no library, and this one takes
its colours from the reader's page.
"""

from dataclasses import dataclass
from html import escape

WIDTH = 760
LABEL = 190  # left of the bars
VALUE = 130  # right of the longest
BAR = 20
STEP = 28
GROUP = 40  # above each group, for its name
TOP = 56
BOTTOM = 30

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.group { font-weight: 600; }
.note { font-size: 11px; fill: #57606a; }
.end { text-anchor: end; }
.bar { fill: #8c959f; }
.ours { fill: #3f9c7e; }
.floor { fill: none; stroke: #8c959f; stroke-dasharray: 4 3; }
.axis { stroke: #8c959f; stroke-opacity: 0.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note { fill: #9198a1; }
  .bar { fill: #7d8590; }
  .ours { fill: #5cc4a0; }
  .floor { stroke: #7d8590; }
}
"""


@dataclass
class Bar:
    label: str
    value: float
    text: str
    kind: str = 'bar'  # or ours, floor


def bars(title: str, note: str, groups: dict[str, list[Bar]]) -> str:
    """Horizontal bars in named groups on one scale, as an SVG document."""
    longest = max((bar.value for group in groups.values() for bar in group),
                  default=1.0)
    scale = (WIDTH - LABEL - VALUE) / longest
    out = [f'<text class="title" x="12" y="26">{escape(title)}</text>']
    y = TOP
    for name, group in groups.items():
        out.append(f'<text class="group" x="12" y="{y + 14}">'
                   f'{escape(name)}</text>')
        y += GROUP - 12
        begin = y
        for bar in group:
            out += one_bar(bar, y, bar.value * scale)
            y += STEP
        out.append(f'<line class="axis" x1="{LABEL}" x2="{LABEL}" '
                   f'y1="{begin - 4}" y2="{y - 4}"/>')
        y += 16
    out.append(f'<text class="note" x="12" y="{y + 10}">'
               f'{escape(note)}</text>')
    height = y + BOTTOM
    return (f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-label="{escape(title)}">\n'
            f'<style>{STYLE}</style>\n' + '\n'.join(out) + '\n</svg>\n')


def one_bar(bar: Bar, y: int, length: float) -> list[str]:
    middle = y + BAR - 6
    return [
        f'<text class="end" x="{LABEL - 10}" y="{middle}">'
        f'{escape(bar.label)}</text>',
        f'<rect class="{bar.kind}" x="{LABEL}" y="{y}" '
        f'width="{max(length, 1):.1f}" height="{BAR}" rx="2"/>',
        f'<text x="{LABEL + length + 8:.1f}" y="{middle}">'
        f'{escape(bar.text)}</text>',
    ]
