"""The written-out step as a text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minnet.facts import checked_facts
from minnet.unroll.program import Line, Program
from minnet.unroll.scalars import LATEX, PYTHON
from minnet.unroll.symbols import Untraceable

if TYPE_CHECKING:
    from minnet.network import Network

MOST_NUMBERS = 2000  # parameters times facts: more than that nobody reads


def unrolled(net: Network, fact: Any, forward_only: bool, numbers: bool, latex: bool) -> str:
    """What `Network.unrolled` gives."""
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets is not written out; take a .member(i)")
    values = {}
    if fact is None:
        n = net.n or 1
        x_shape, t_shape = (n,), (net.m or n,)
    else:
        [(x, t)] = checked_facts(net, [fact])
        values = {"x": x, "t": t}
        x_shape, t_shape = x.shape, t.shape
    if numbers:
        values["p"] = net._flat
    count = net.size * (x_shape[0] if len(x_shape) > 1 else 1)
    if count > MOST_NUMBERS:
        raise ValueError(
            f"writing out {net.size} parameters for {x_shape} inputs would fill {count} lines; "
            f"{MOST_NUMBERS} are the most"
        )
    try:
        program = Program(net, x_shape, t_shape, LATEX if latex else PYTHON, values)
    except Untraceable as error:
        raise ValueError(str(error)) from error
    sections = {"forward": program.forward} if forward_only else _sections(program)
    if latex:
        lines = [line for section in sections.values() for line in section]
        rows = (rf"{LATEX.name(name)} &= {text}" for name, text in lines)
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
    return "\n".join(
        f"# {title}\n" + "".join(f"{name} = {text}\n" for name, text in section)
        for title, section in sections.items()
    )


def _sections(program: Program) -> dict[str, list[Line]]:
    """The lines up to the outputs, to the loss, to the first new parameter, and the rest."""
    names = [name for name, _ in program.lines]
    forward = max((names.index(name) + 1 for name in program.y if name in names), default=0)
    loss = max(names.index("loss") + 1, forward)
    state = {*program.state, *(f"{name}_new" for name in program.state)}
    update = next((i for i, name in enumerate(names) if name in state), len(names))
    lines = program.lines
    return {
        "forward": lines[:forward],
        "loss": lines[forward:loss],
        "back": lines[loss:update],
        "update": lines[update:],
    }
