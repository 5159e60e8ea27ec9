"""The knobs in a notebook: its cells are run by a kernel, with ipympl as the backend."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from driven import PICTURES, ROOT

CELLS = (
    "%matplotlib widget",
    """
from bench import NNBench
from minnet import Affinity, Network

net = Network([Affinity(2, 2, rng=0)])
bench = NNBench(net, ideal=lambda x: x[::-1])
knobs = bench.knobs_plot_learning(100)
""",
    """
import asyncio

knobs.sliders["alpha"].set_val(-1.5)  # what a drag does
await asyncio.sleep(3)                # the kernel's loop runs the timer
print(knobs.knobs.history, len(knobs.knobs.losses), bench.net is net)
""",
    """

print(type(knobs.figure.canvas).__module__)
""",
)


def test_a_notebook_is_executed() -> None:
    import nbformat
    from nbclient import NotebookClient
    from PIL import Image

    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(
        notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    [shown] = [
        o for o in outputs[1] if "application/vnd.jupyter.widget-view+json" in o.get("data", {})
    ]
    content = base64.b64decode(shown["data"]["image/png"])
    picture = Image.open(BytesIO(content)).convert("RGB")
    assert np.ptp(np.asarray(picture)) > 100
    picture.quantize(256).save(PICTURES / "knobs-notebook.png", optimize=True)
    history, learned, same = outputs[2][0]["text"].rsplit(maxsplit=2)
    assert "('alpha', 0.0316" in history
    assert (learned, same) == ("100", "True")
    assert outputs[3][0]["text"] == "ipympl.backend_nbagg\n"
