"""The examples of the manual pages and of README.md, as their readers see them."""

import re

ESCAPES = {r"\e": "\\", r"\(aq": "'", r"\(dq": '"', r"\(ha": "^", r"\(ti": "~", r"\-": "-", r"\&": ""}
ESCAPE = re.compile(r"\\(\(..|.)")


def unescape(line):
    """A line of a manual page without the escapes of mdoc(7)."""
    if line.startswith("."):
        raise ValueError(f"a macro in a literal block: {line}")
    return ESCAPE.sub(lambda match: ESCAPES[match.group(0)], line)


def of_manual(path):
    """The literal blocks of a manual page, as (section, text)."""
    section, block, found = "", None, []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith(".Sh "):
                section = line[4:]
            elif line.startswith(".Bd -literal"):
                block = []
            elif line == ".Ed" and block is not None:
                found.append((section, "".join(block)))
                block = None
            elif block is not None:
                block.append(unescape(line) + "\n")
    return found


def of_readme(path):
    """The blocks of code of a Markdown file: fenced ones, and those indented by four blanks."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    section, found, block, fenced = "", [], [], False
    for line in [*lines, ""]:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            block.append(line)
            continue
        elif line.startswith("    "):
            block.append(line[4:])
            continue
        elif line.startswith("#"):
            section = line.lstrip("# ")
        if block:
            found.append((section, "\n".join(block) + "\n"))
            block = []
    return found
