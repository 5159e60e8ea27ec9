"""How the site is made: pages in Markdown whose cells run, and mathematics as MathML.

`make docs` builds it into docs/_build/html. A cell that fails, or a warning, fails the build;
the pages load nothing from elsewhere and need no network.
"""

import inspect
import logging
import os
import re
import sys
import tempfile
import typing
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# for the kernels that run the pages: this checkout, also where it is not installed; one thread
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# and settings of their own, not those of whoever builds: errors are told, advice is not
kernels = tempfile.TemporaryDirectory(prefix="minnet-docs-")
os.environ["IPYTHONDIR"] = kernels.name
Path(kernels.name, "profile_default").mkdir()
Path(kernels.name, "profile_default", "ipython_kernel_config.py").write_text(
    "get_config().IPKernelApp.log_level = 40\n"
)

import minnet  # noqa: E402

logging.getLogger("traitlets").setLevel(logging.WARNING)  # a line for each page that runs

project = "minnet"
version = release = minnet.__version__
copyright = "the minnet authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc"]
exclude_patterns = ["_build", "results", "mutants.md"]  # chapter 12 shows the mutants
nitpicky = True
default_role = "code"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "warn"
nb_render_markdown_format = "myst"
nb_mime_priority_overrides = [("html", "image/gif", 35)]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "minnet"
html_static_path = ["_static"]
html_css_files = ["minnet.css"]
html_copy_source = False
html_math_renderer = "mathml"

BRACKETS = re.compile(
    r"<mo>&#x0005B;</mo><mtable>((?:(?!<mtable).)*?)</mtable><mo>&#x0005D;</mo>", re.DOTALL
)


def mathml(translator: typing.Any, node: nodes.Element) -> None:
    """Write a formula so that browsers lay it out themselves, without any script."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    latex = node.astext().strip().removeprefix(r"\displaystyle").strip()
    formula = convert(latex, display=display)
    # few fonts have brackets that stretch: those of a matrix are drawn by minnet.css
    formula = BRACKETS.sub(r'<mtable class="brackets">\1</mtable>', formula)
    translator.body.append(formula)
    raise nodes.SkipNode


def formulas_as_they_stand(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Docstrings set formulas off by indenting them: keep their lines and spaces.

    And outside of them a star, a bar or a final underscore means itself.
    """
    text, result, verbatim, indent = list(lines), [], None, 0
    for i, line in enumerate(text):
        depth = len(line) - len(line.lstrip())
        if line.strip():
            if verbatim is not None and depth < verbatim:
                verbatim = None
            after_blank = i > 0 and not text[i - 1].strip()
            if verbatim is None and after_blank and depth > indent:
                verbatim = depth
                result += [" " * indent + "::", ""]
            indent = indent if verbatim is not None else depth
            if verbatim is None and not line.lstrip().startswith(">>>"):
                parts = line.split("`")
                parts[::2] = [re.sub(r"(?<!\\)([*|]|\b_(?=\W|$))", r"\\\1", p) for p in parts[::2]]
                line = "`".join(parts)
        result.append(line)
    lines[:] = result


def signature(
    app: Sphinx, what: str, name: str, thing: typing.Any, options: object, args: str, result: str
) -> tuple[str, str] | None:
    """That of a class is what its constructor takes, also where it has a __new__."""
    if what != "class" or args != "(*args, **kwargs)":
        return None
    taken = inspect.signature(thing.__init__)
    shown = taken.replace(parameters=list(taken.parameters.values())[1:])
    return stringify_signature(shown, show_annotation=False, show_return_annotation=False), result


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("autodoc-process-docstring", formulas_as_they_stand, priority=100)
    app.connect("autodoc-process-signature", signature)
