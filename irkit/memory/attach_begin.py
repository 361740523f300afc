"""What a Python that takes requests (3.14 on) runs in its main thread: a thread for the agent, and nothing else.

It is given its FOLDER as `attach.py` is, and says in a file there for how many ns it kept the main thread. Standard
library only.
"""

from __future__ import annotations

import _thread
import os
import time
from types import BuiltinFunctionType

BEGUN = "begun"


def begin(folder: str) -> None:
    """Start what `_attach.c` starts where a debugger lets it in, and say how long that took, 0 where it cannot be."""
    began_ns = time.perf_counter_ns()
    code = (
        f"try:\n exec(compile(open('{folder}/attach.py').read(), '{folder}/attach.py', 'exec'), "
        f"{{'__name__': 'irkit_attach', 'FOLDER': '{folder}'}})\nexcept BaseException: pass"
    )
    # what greenlets put in its place would keep the service's own loop waiting
    real = type(_thread.start_new_thread) is BuiltinFunctionType
    if real:
        _thread.start_new_thread(exec, (code, {}))
    with open(f"{folder}/{BEGUN}.new", "w", encoding="ascii") as file:  # noqa: PTH123 (pathlib may not be loaded there)
        file.write(str(max(time.perf_counter_ns() - began_ns, 1) if real else 0))
    os.replace(f"{folder}/{BEGUN}.new", f"{folder}/{BEGUN}")  # noqa: PTH105 (the same)
