import threading

GO, DONE = threading.Semaphore(0), threading.Semaphore(0)


def loop():
    backlog = []
    while True:
        GO.acquire()
        backlog.extend(f"entry {number}" * 8 for number in range(5000))
        DONE.release()


threading.Thread(target=loop, daemon=True).start()


def step():
    GO.release()
    DONE.acquire()
