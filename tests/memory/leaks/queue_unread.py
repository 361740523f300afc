import queue

QUEUE = queue.Queue()


def step():
    for number in range(5000):
        QUEUE.put(f"message {number}" * 6)
