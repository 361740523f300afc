import threading

LOCAL = threading.local()


def step():
    kept = LOCAL.__dict__.setdefault("kept", [])
    kept.extend(f"request {number}" * 8 for number in range(5000))
