"""The examples of a manual page, as a reader copies them."""

import os
import re

MAN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "man")
ESCAPES = {r"\e": "\\", r"\(aq": "'", r"\(dq": '"', r"\-": "-", r"\&": ""}


def plain(line):
    """A line of a literal display as it is shown."""
    return re.sub(r"\\(?:\(..|.)", lambda found: ESCAPES[found.group()], line)


def examples(page):
    """(introduction in mdoc, text) of each literal display of a page, such as "zksync.1"."""
    found, introduction, text = [], [], None
    with open(os.path.join(MAN, page), encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith(".Bd -literal"):
                text = []
            elif line == ".Ed":
                found.append((" ".join(introduction), "\n".join(text) + "\n"))
                introduction, text = [], None
            elif text is not None:
                text.append(plain(line))
            elif line in (".Pp", ".Sh EXAMPLES"):
                introduction = []
            else:
                introduction.append(line)
    return found


def example(page, beginning):
    """The text of the one example whose introduction begins so."""
    chosen = [text for introduction, text in examples(page) if introduction.startswith(beginning)]
    assert len(chosen) == 1, f"{page} has {len(chosen)} examples that begin with {beginning!r}"
    return chosen[0]
