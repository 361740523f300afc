from collections import deque

RECENT = deque(maxlen=4000)


def step():
    RECENT.extend(f"event {number}" * 8 for number in range(5000))
