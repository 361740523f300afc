"""The papermill engine `irkit`, found by its entry point: `papermill --engine irkit`.

Papermill loads this module whenever it starts, in the middle of its own loading: it imports nothing else of weight, and
nobody imports it before papermill.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from papermill.engines import Engine, NBClientEngine
from papermill.log import logger

from irkit.notebooks import engine


class IrkitEngine(Engine):  # type: ignore[misc]
    """Runs Python notebooks in an IPython shell of their own process; what it cannot serve goes to a real kernel."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:  # noqa: ANN401
        """Run the notebook and put its outputs into it as they come.

        A process that dies leaves its cell failed, with an error output that says how; papermill raises that.
        """
        shell = options.pop("shell", None)
        why = engine.why_not(nb_man.nb, kernel_name, options)
        if why:
            logger.info(f"engine irkit: a kernel runs this notebook, since {why}")
            NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **options)
            return
        from irkit import light
        from irkit.notebooks import shells

        ours = any("import irkit" in cell.source for cell in nb_man.nb.cells)
        with ExitStack() as stack:
            engine.run(nb_man, shell or stack.enter_context(shells.spawned(light.FOR_REPORTS if ours else ())))
