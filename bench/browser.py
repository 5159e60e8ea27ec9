"""Figures in a browser, served by Matplotlib's WebAgg to this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.arguments import Refusal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ADDRESS = "127.0.0.1"
RETRIES = 50  # other ports, where the one asked for is taken


def serve(draw: Callable[[], object], port: int) -> None:
    """Serve the figures that `draw` makes with pyplot, until Ctrl-C.

    The address is printed. Tabs that show a figure show the same one; closing them ends
    nothing.

    Parameters
    ----------
    draw : callable
        Makes the figures, once WebAgg is what pyplot draws with.
    port : int
        The one asked for; a free one near it, where it is taken.

    Raises
    ------
    Refusal
        If tornado is missing, or no port is free.
    """
    try:
        import tornado  # noqa: F401  # WebAgg would say it less clearly
    except ModuleNotFoundError:
        raise Refusal(
            "tornado is missing, which serves the browser; pip install 'minnet[browser]' brings it"
        ) from None
    import matplotlib
    import matplotlib.pyplot as plt

    settings: Any = {
        "webagg.address": ADDRESS, "webagg.port": port, "webagg.port_retries": RETRIES,
        "webagg.open_in_browser": False,
    }  # fmt: skip
    plt.switch_backend("webagg")
    draw()
    for number in plt.get_fignums():
        _keep_size(plt.figure(number))
    with matplotlib.rc_context(settings):
        try:
            plt.show()
        except SystemExit as error:  # so WebAgg says that it found no port
            raise Refusal(str(error)) from None


def _keep_size(figure: Figure) -> None:
    """Let no tab change the size: a new one asks for that of its canvas, which is empty yet."""
    width, height = figure.get_size_inches()

    def restore(event: object) -> None:
        w, h = figure.get_size_inches()
        if abs(w - width) + abs(h - height) > 0.01:
            figure.set_size_inches(width, height, forward=True)

    figure.canvas.mpl_connect("resize_event", restore)
