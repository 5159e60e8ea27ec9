"""The site: every page is in it, every public name is explained, nothing comes from elsewhere.

Building it runs its cells (`make docs`); here is what can be told without that.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import bench
import minnet

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
    if not {"_build", "results"} & set(path.parts)
)
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
# whose own functions and classes are public beside what `minnet` and `bench` export
MODULES = ("minnet.facts", "minnet.gradients", "minnet.files")
INTERNAL = {"facts_for", "checked_facts", "checked_arrays", "of_kind"}


def text_of(page: str) -> str:
    return (DOCS / f"{page}.md").read_text()


def toctrees(page: str) -> list[str]:
    """The pages that a page's toctrees name, seen from docs/."""
    found = []
    for block in re.findall(r"```\{toctree\}\n(.*?)```", text_of(page), re.DOTALL):
        for entry in (line.strip() for line in block.splitlines()):
            if entry and not entry.startswith(":"):
                folder = Path(page).parent
                found += [other for other in PAGES if Path(other).match(str(folder / entry))]
    return found


def public_names(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and name not in INTERNAL
    ]


def reference() -> set[str]:
    """The full names that the reference explains."""
    explained, where = set(), ""
    for path in (DOCS / "reference").glob("*.md"):
        for directive, name in re.findall(r"\.\. (\w+):: ([\w.]+)", path.read_text()):
            if directive == "currentmodule":
                where = name
            elif directive == "automodule":
                explained |= {f"{name}.{n}" for n in public_names(importlib.import_module(name))}
            else:
                explained |= {name, f"{where}.{name}"}
    return explained


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = {"index", *(entry for page in PAGES for entry in toctrees(page))}
    assert set(PAGES) == listed


def test_chapters_are_numbered_from_one() -> None:
    titles = [re.search(r"^# (\d+)\. .*\?$", text_of(page), re.MULTILINE) for page in CHAPTERS]
    assert [int(title[1]) for title in titles if title] == list(range(1, 13))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_answers_shows_and_asks(chapter: str) -> None:
    text = text_of(chapter)
    title = text.index("\n# ")
    first = text[title:].split("\n\n")[1]
    assert len(first.split()) > 20 and "```" not in first  # the answer comes first
    exercises = text.partition("## Exercises")[2]
    assert "```{code-cell}" in text
    assert exercises.count("<details>") == exercises.count("</details>") >= 2


def test_every_public_name_is_in_the_reference() -> None:
    explained = reference()
    wanted = {f"minnet.{name}" for name in minnet.__all__}
    wanted |= {f"bench.{name}" for name in bench.__all__}
    for name in MODULES:
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", None) or public_names(module)
        wanted |= {f"{name}.{public}" for public in exported}
    there_already = {f"{module}.{name}" for module in MODULES for name in minnet.__all__}
    assert wanted - there_already - explained == set()


def test_the_architecture_names_every_module_of_minnet() -> None:
    files = {path.name for path in Path(minnet.__file__).parent.glob("*.py")}
    named = set(re.findall(r"(\w+\.py)\b", text_of("pages/architecture")))
    assert files - {"__init__.py"} <= named


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_nothing_from_elsewhere(page: str) -> None:
    text = text_of(page)
    assert not re.findall(r"!\[[^]]*\]\(\w+://|(?:src|href)=[\"']\w+://|@import|<script", text)


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_words(page: str) -> None:
    """What a cell shows as a picture says it in words, for those who do not see it."""
    for cell in re.findall(r"```\{code-cell\}\n(.*?)```", text_of(page), re.DOTALL):
        last = cell.rstrip().splitlines()[-1]
        if last == "picture" or last.startswith("Image("):
            assert re.search(r"alt: .{20}", cell, re.DOTALL), cell
