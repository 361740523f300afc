import contextvars

TRAIL = contextvars.ContextVar("TRAIL")
TRAIL.set([])


def step():
    TRAIL.get().extend(f"hop {number}" * 8 for number in range(5000))
