#!/usr/bin/env python3
"""Make the manual pages out of the public headers: man.py FOLDER.

The contracts stand in the headers and nowhere else.  Each call has a page in
section 3, each header one more, celadon_NAME(3), with its file comment, its
types, and the example of man/NAME.c; a call that needs one of its own has
man/CALL.c.  celadon(7) is written by hand.

What is read in a contract: paragraphs, tables of "  word   text", code that
is indented by four, `names`, calls(), pages(2), -ERRORS.  The sentence about
suspending, what begins with "Returns", and each error are told apart, so that
each page has them where a manual has them.
"""

import os
import re
import sys
import textwrap
from pathlib import Path

import header as headers_of

ROOT = headers_of.ROOT
MAN = ROOT / "man"
BASE = "base"

# Errors that a contract may name without a word more.
COMMON = {
    "EPERM": "Not called in a coroutine.",
    "ENOMEM": "There is no memory for it.",
    "EINVAL": "An argument is not one of those that the call knows.",
    "EBADF": "It is not an open descriptor.",
    "EMFILE": "The process has as many descriptors as it may.",
    "ENOBUFS": "The system has no memory for it.",
    "ENFILE": "The system has as many open files as it can.",
    "ENOSYS": "This system does not have it.",
    "ESPIPE": "It is a pipe, a socket or a terminal.",
}
PARAGRAPH = re.compile(r"\n[ \t]*\n")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"])|(?<=\.\))\s+(?=[A-Z`])")
SUSPENDS = re.compile(r"[Ss]uspend|Does not return")
# Whose errors a call has too: "or as close(2)", "as for all, and as recv(2)".
LIKE = re.compile(r"(?:[Rr]eturns|and|or|others|errno:|E[A-Z]+,) as "
                  r"(?:for all,? )?"
                  r"(\w+\(\d?\)(?:(?:,| and|, and) \w+\(\d?\))*)")
ROW = re.compile(r"^  (\S.*?)(?:  +(\S.*))?$")
SPECIAL = re.compile(
    r"`(?P<code>[^`]+)`|(?P<call>\bcel_\w+)\(\)"
    r"|\b(?P<page>[a-z_]\w*)\((?P<section>[1-8])\)"
    r"|(?P<error>-E[A-Z0-9]+)\b|\b(?P<header>[a-z]+)\.h\b"
    r"|\b(?P<value>CEL_[A-Z0-9_]+|NULL)\b"
    r"|\b(?P<variable>CELADON_[A-Z_]+)\b")
OPENING, CLOSING = "([", ".,:;)]?!"
# What stands for roff's words until the text is escaped.
BOLD, ROMAN = "\1", "\2"


def escape(text):
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("…", "...")
    text = text.replace(BOLD, "\\fB").replace(ROMAN, "\\fR")
    return "\\&" + text if text[:1] in (".", "'") else text


class Page:
    """The lines of one page, in mdoc."""

    def __init__(self, name, section, date):
        self.lines = [f".Dd {date}", f".Dt {name.upper()} {section}", ".Os"]
        self.name = name
        self.known = set()
        self.arguments = set()

    def add(self, *lines):
        self.lines += lines

    def section(self, title):
        self.add(f".Sh {title}")

    def macro_of(self, match):
        """The macro for what SPECIAL has found, and its argument."""
        kind = match.lastgroup
        word = match["page"] if kind == "section" else match[kind]
        if kind == "code":
            plain = re.fullmatch(r"\*?(\w+)", word)
            known = plain and plain[1] in self.arguments
            return ("Fa", word) if known else ("Ql", word)
        if kind == "call":
            own = word == self.name or word not in self.known
            return ("Fn", word) if own else ("Xr", word + " 3")
        if kind == "section":
            return "Xr", f"{word} {match['section']}"
        if kind == "header":
            here = (headers_of.INCLUDE / (word + ".h")).exists()
            return (("Xr", f"celadon_{word} 3") if here
                    else ("In", word + ".h"))
        return {"error": "Er", "value": "Dv", "variable": "Ev"}[kind], word

    def text(self, sentence):
        """Set one sentence, its special words as macros."""
        plain = ""
        at = 0
        sentence = " ".join(sentence.split())
        for match in SPECIAL.finditer(sentence):
            before = sentence[at:match.start()]
            after = re.match(r"\S*", sentence[match.end():])[0]
            opened = re.search(r"\S*$", before)[0]
            simple = (all(c in OPENING for c in opened)
                      and all(c in CLOSING for c in after))
            if match.start() < at:
                continue
            if not simple:
                plain += before + BOLD + match[0].strip("`") + ROMAN
                at = match.end()
                continue
            plain += before[:len(before) - len(opened)]
            self.flush(plain)
            macro, argument = self.macro_of(match)
            argument = escape(argument)
            if macro == "Ql" and " " in argument:
                argument = f'"{argument}"'
            elif len(argument) <= 3 and macro != "Fa":
                argument = "\\&" + argument
            self.add(" ".join([f".{macro}", *opened, argument, *after]))
            plain, at = "", match.end() + len(after)
        self.flush(plain + sentence[at:])

    def flush(self, plain):
        if plain.strip():
            self.add(*(escape(line) for line in
                       textwrap.wrap(plain.strip(), 76, break_on_hyphens=False,
                                     break_long_words=False)))

    def block(self, block):
        """Set one paragraph: code, a table, or sentences."""
        lines = block.strip("\n").split("\n")
        if all(line.startswith("    ") or not line for line in lines):
            self.code(textwrap.dedent("\n".join(lines)))
            return
        table = [i for i, line in enumerate(lines) if ROW.match(line)]
        words = lines[:table[0]] if table else lines
        end = table[0] if table else len(lines)
        for sentence in SENTENCE.split(" ".join(words)):
            self.text(sentence)
        if table:
            while end < len(lines) and lines[end].startswith("  "):
                end += 1
            self.table(rows(lines[table[0]:end]))
        if end < len(lines):
            self.add(".Pp")
            self.block("\n".join(lines[end:]))

    def table(self, found):
        self.add(".Bl -tag -width Ds")
        for word, text in found:
            quoted = word.replace('"', "\\(dq").replace("\\&", "")
            self.add(f".It Er {word}" if word.startswith("-E")
                     else f'.It Li "{quoted}"')
            for sentence in SENTENCE.split(text):
                self.text(sentence)
        self.add(".El")

    def code(self, text):
        self.add(".Bd -literal -offset indent",
                 *(escape(line) for line in text.rstrip().split("\n")),
                 ".Ed")

    def blocks(self, text):
        """Set paragraphs."""
        found = [block for block in PARAGRAPH.split(text) if block.strip()]
        for number, block in enumerate(found):
            if number > 0:
                self.add(".Pp")
            self.block(block)

    def see_also(self, pages):
        self.section("SEE ALSO")
        found = sorted(pages, key=lambda page: (page[1], page[0]))
        for number, (name, section) in enumerate(found):
            comma = " ," if number < len(found) - 1 else ""
            self.add(f".Xr {name} {section}{comma}")

    def write(self, folder, section):
        path = folder / f"man{section}" / f"{self.name}.{section}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # A list needs no paragraph before it, nor does a section.
        text = "\n".join(self.lines) + "\n"
        text = re.sub(r"\.Pp\n(?=\.(Bl|Bd|Sh|Pp))", "", text)
        text = re.sub(r"(?<=\n)(\.Sh .*\n)\.Pp\n", r"\1", text)
        path.write_text(text)


def rows(lines):
    """The rows of a table, each with the lines that go on with it."""
    found = []
    for line in lines:
        match = ROW.match(line)
        if match and not line.startswith("   "):
            found.append([match[1], match[2] or ""])
        elif found:
            found[-1][1] += " " + line.strip()
    return [(word, text.strip()) for word, text in found]


def tables(text):
    """All rows of all tables of a comment, as a dictionary of errors."""
    found = {}
    for line_group in re.findall(r"(?:^  +\S.*\n?)+", text, re.M):
        for word, said in rows(line_group.rstrip("\n").split("\n")):
            for code in re.findall(r"-(E[A-Z0-9]+)", word):
                found[code] = said[:1].upper() + said[1:].rstrip(".") + "."
    return found


def library_of(header):
    """The library that a header's calls are in."""
    if header.name == "tls":
        return "Celadon (libceladon-tls, -lceladon-tls -lceladon)"
    return "Celadon (libceladon, -lceladon)"


def split_contract(contract):
    """A contract's description, its word on suspending, and its returns."""
    described, suspends, returns = [], [], []
    returning = False
    for block in PARAGRAPH.split(contract):
        text, table = block, ""
        if match := re.search(r"^  \S", block, re.M):
            text, table = block[:match.start()], block[match.start():]
        if block.startswith("    "):
            described.append(block)
            continue
        kept = []
        for sentence in SENTENCE.split(text.strip("\n")):
            if re.match(r"Returns|Suspends and returns|Does not return",
                        sentence):
                returning = True
            if SUSPENDS.search(sentence):
                suspends.append(sentence)
            if returning or "returns as" in sentence:
                returns.append(sentence)
            elif not re.match(r"Suspends|Does not suspend", sentence):
                kept.append(sentence)
        if table and returning:
            returns.append("\n" + table)
        elif table:
            kept.append("\n" + table)
        if kept:
            described.append(joined(kept))
    return "\n\n".join(described), "  ".join(suspends), joined(returns)


def joined(parts):
    return "  ".join(parts).replace("  \n", "\n")


def whole(header):
    """A header's comment, and that of one whose words hold there too."""
    other = re.search(r"What (\w+)\.h says\b[^.]*holds here", header.text)
    path = headers_of.INCLUDE / f"{other[1]}.h" if other else None
    return header.text + ("\n\n" + headers_of.parse(path).text
                          if path else "")


def errors_of(call, header, base):
    """The errors of a call, each with what there is to say of it."""
    said = whole(header)
    shared, common = tables(said), tables(base.text)
    own = tables(call.contract)
    text = " ".join(call.contract.split())
    codes = set(re.findall(r"-(E[A-Z0-9]+)\b", text))
    if re.search(r"as (for all|above)\b", text):
        codes |= set(re.findall(r"-(E[A-Z0-9]+)", said))
    codes -= set(re.findall(r"never -(E[A-Z0-9]+)", text))
    found = {}
    for code in sorted(codes):
        here = re.search(rf"-{code} \(((?:[^()]|\([^()]*\))+)\)", text)
        beside = re.search(rf"-{code} \(((?:[^()]|\([^()]*\))+)\)",
                           " ".join(said.split()))
        if code in own:
            found[code] = own[code]
        elif here or (beside and code not in shared):
            word = (here or beside)[1]
            found[code] = word[:1].upper() + word[1:] + "."
        else:
            found[code] = (shared.get(code) or common.get(code)
                           or COMMON.get(code)
                           or "See the description.")
    return found


def brief(text):
    """The begin of a contract, for a list of pages."""
    whole = " ".join(text.split()).replace("`", "")
    first = re.split(r"[.:;](?= |$)| \(|, (?:which|but|if|and|where)\b",
                     whole)[0]
    if len(first) < 12:
        first = re.split(r"\.(?= |$)", whole)[0]
    return first[:1].lower() + first[1:]


def title(header):
    """What a header is about: the first sentence of its comment."""
    first = " ".join(header.text.partition("\n\n")[0].split())
    return first[:1].lower() + first[1:].rstrip(".")


def threads_of(header):
    """What the file comment says of threads."""
    match = re.search(r"^Threads: (.*?)(?=\n[ \t]*\n|\Z)", header.text,
                      re.M | re.S)
    return match[1] if match else ""


def synopsis(page, header, calls):
    page.section("SYNOPSIS")
    page.add(f".In celadon/{header.name}.h")
    for call in calls:
        page.add(f".Ft {call.returns}", f".Fo {call.name}")
        page.add(*(f'.Fa "{argument}"' for argument in call.arguments))
        page.add(".Fc")


def examples(page, name):
    """The program of man/NAME.c, if there is one."""
    example = MAN / f"{name}.c"
    if example.exists():
        page.section("EXAMPLES")
        page.code(example.read_text().split("*/\n", 2)[2].lstrip("\n"))


def call_page(call, header, base, known, date):
    """The page of one call."""
    page = Page(call.name, 3, date)
    page.known, page.arguments = known, call.names
    described, suspends, returns = split_contract(call.contract)
    page.section("NAME")
    page.add(f".Nm {call.name}", f".Nd {brief(call.contract)}")
    page.section("LIBRARY")
    page.add(library_of(header))
    synopsis(page, header, [call])
    page.section("DESCRIPTION")
    page.blocks(described or call.contract)
    if threads := threads_of(header):
        page.add(".Pp")
        page.block("Threads: " + threads)
    page.section("SUSPENSION")
    page.blocks(suspends)
    page.section("RETURN VALUES")
    nothing = "Nothing." if call.returns == "void" else call.contract
    page.blocks(returns or SENTENCE.split(nothing)[0])
    examples(page, call.name)
    page.section("ERRORS")
    errors_section(page, call, header, base)
    others = re.findall(r"\b(?!cel_)([a-z_]\w*)\(([1-8])\)", call.contract)
    near = set(re.findall(r"\b(cel_\w+)\(", call.contract)) & known
    page.see_also({(name, 3) for name in near - {call.name}}
                  | {(name, int(section)) for name, section in others}
                  | {(f"celadon_{header.name}", 3), ("celadon", 7)})
    return page


def errors_section(page, call, header, base):
    """The errors of a call, and whose it has too."""
    errors = errors_of(call, header, base)
    if errors:
        page.table([(f"-{code}", said) for code, said in errors.items()])
    like = [name for found in LIKE.findall(" ".join(call.contract.split()))
            for name in re.findall(r"\w+\(\d?\)", found)]
    if like:
        page.add(".Pp")
        page.text(("Also those of " if errors else "Those of ")
                  + ", ".join(like) + ".")
    elif not errors:
        page.text("None.")


def header_page(header, known, date):
    """The page of one header."""
    page = Page(f"celadon_{header.name}", 3, date)
    page.known = known
    page.section("NAME")
    page.add(f".Nm {page.name}", f".Nd {title(header)}")
    page.section("LIBRARY")
    page.add(library_of(header))
    synopsis(page, header, header.calls)
    page.section("DESCRIPTION")
    page.blocks(header.text)
    page.add(".Pp", ".Bl -tag -width Ds")
    for call in header.calls:
        page.add(f".It Xr {call.name} 3", brief(call.contract))
    page.add(".El")
    if header.types:
        page.section("TYPES")
        for text, said in header.types:
            page.code(text.replace("/**<", "/*"))
            page.blocks(said)
    if header.constants:
        page.section("CONSTANTS")
        for names, said in header.constants:
            page.add(".Pp")
            page.blocks(said)
            page.add(".Bl -tag -width Ds")
            for name, note in names:
                page.add(f".It Dv {name}")
                page.text(note)
            page.add(".El")
    examples(page, header.name)
    page.see_also({(call.name, 3) for call in header.calls}
                  | {("celadon", 7)})
    return page


def overview(found, date):
    """celadon(7): written by hand, but for the list of headers."""
    listed = [".Bl -tag -width Ds"]
    for header in found:
        listed += [f".It Xr celadon_{header.name} 3", title(header)]
    echo = (ROOT / "examples/echo.c").read_text().split("*/\n", 2)[2]
    example = "\n".join(escape(line) for line in echo.strip().split("\n"))
    text = (MAN / "celadon.7").read_text()
    return (text.replace(".Dd $DATE$", f".Dd {date}")
            .replace('.\\" EXAMPLE', example)
            .replace('.\\" HEADERS', "\n".join(listed + [".El"])))


def date_of(paths):
    """The day of the last change, or SOURCE_DATE_EPOCH's."""
    from datetime import datetime, timezone

    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    when = datetime.fromtimestamp(
        int(stamp) if stamp else max(p.stat().st_mtime for p in paths),
        timezone.utc)
    return f"{when:%B} {when.day}, {when.year}"


def make(folder):
    """Write all pages into man3 and man7 of a folder."""
    found = headers_of.headers()
    base = next(header for header in found if header.name == BASE)
    known = {call.name for header in found for call in header.calls}
    date = date_of([*headers_of.INCLUDE.glob("*.h"), MAN / "celadon.7"])
    for header in found:
        header_page(header, known, date).write(folder, 3)
        for call in header.calls:
            call_page(call, header, base, known, date).write(folder, 3)
    (folder / "man7").mkdir(parents=True, exist_ok=True)
    (folder / "man7/celadon.7").write_text(overview(found, date))
    return found


def main():
    # Meson tells an install script where to by the environment.
    prefix = os.environ.get("MESON_INSTALL_DESTDIR_PREFIX", "")
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    make(Path(prefix) / sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
