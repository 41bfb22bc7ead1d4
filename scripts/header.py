"""The public headers, taken apart: what they declare and what they say of it.

For scripts that make something of the contracts (man.py) or of the names.
A header is a file comment, and then declarations, each behind its contract.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include" / "celadon"

COMMENT = re.compile(r"/\*(\*?)(.*?)\*/\s*", re.S)
DEFINE = re.compile(
    r"#define[ \t]+(CEL_\w+)[ \t]+[^\n\\/]+(?:/\*\*<(.*?)\*/)?\s*\n\s*", re.S)
FUNCTION = re.compile(r"CEL_API\b(.*?);\s*", re.S)
TYPE = re.compile(
    r"(?:typedef\b|enum\b|struct\b)[^;{]*(?:\{.*?\}[^;]*)?;\s*", re.S)
SKIPPED = re.compile(
    r"#(?:[^\n\\]|\\\n)*\n\s*|extern \"C\" \{\s*|\}\s*")
CALL = re.compile(r"^(.*?)\b(cel_\w+)\((.*)\)$", re.S)


@dataclass
class Call:
    """A public function."""
    name: str
    returns: str
    arguments: list[str]
    contract: str

    @property
    def names(self):
        """The names of its arguments."""
        return {found for argument in self.arguments
                for found in re.findall(r"(\w+)(?:\[\d*\]|\)\(.*)?$",
                                        argument)}


@dataclass
class Header:
    """A public header: its file comment, and what it declares."""
    name: str
    text: str
    calls: list[Call] = field(default_factory=list)
    types: list[tuple[str, str]] = field(default_factory=list)
    # Of those under one comment: [(name, note of its own)], the comment.
    constants: list[tuple[list[tuple[str, str]], str]] = field(
        default_factory=list)


def plain(comment):
    """A comment's text, without the stars."""
    lines = [re.sub(r"^\s*\* ?|^    ", "", line).rstrip()
             for line in comment.split("\n")]
    return "\n".join(lines).strip("\n ")


def split_arguments(text):
    """What stands between the commas that no bracket encloses."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            found.append(text[start:at])
            start = at + 1
    found.append(text[start:])
    return [" ".join(part.split()) for part in found]


def parse_call(text, contract):
    """The function that is declared there."""
    text = re.sub(r"\bCEL_NODISCARD\b|\bCEL_PRINTF\([^)]*\)", "", text)
    head, name, arguments = CALL.match(" ".join(text.split())).groups()
    return Call(name, head.strip(), split_arguments(arguments), contract)


def parse(path):
    """Take one header apart."""
    text = path.read_text()
    comments = list(COMMENT.finditer(text))
    header = Header(path.stem, plain(comments[1][2]))
    at = comments[1].end()
    contract, open_list = "", False
    while at < len(text):
        if match := COMMENT.match(text, at):
            contract = plain(match[2]) if match[1] else ""
            open_list = False
        elif match := FUNCTION.match(text, at):
            header.calls.append(parse_call(match[1], contract))
            contract = ""
        elif match := TYPE.match(text, at):
            if contract:
                header.types.append((match[0].rstrip(), contract))
            contract = ""
        elif (match := DEFINE.match(text, at)) and (contract or open_list):
            if not open_list:
                header.constants.append(([], contract))
            header.constants[-1][0].append((match[1], plain(match[2] or "")))
            open_list = True
        elif not (match := SKIPPED.match(text, at)):
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"{path.relative_to(ROOT)}:{line}: not read: "
                             f"{text[at:at + 40]!r}")
        at = match.end()
    return header


def headers():
    """All of them, by name."""
    return [parse(path) for path in sorted(INCLUDE.glob("*.h"))]
