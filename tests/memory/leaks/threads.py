import threading

END = threading.Event()


def worker(ready):
    rows = [f"row {number}" * 5 for number in range(500)]
    ready.set()
    END.wait()
    return rows


def step():
    for _ in range(8):
        ready = threading.Event()
        threading.Thread(target=worker, args=(ready,), daemon=True).start()
        ready.wait()
