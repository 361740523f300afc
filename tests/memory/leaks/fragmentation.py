ISLANDS = [bytes(100) for _ in range(1000)]


def step():
    made = [bytes(4000) for _ in range(2000)]
    ISLANDS[:] = made[::2]
    made.clear()
    ISLANDS[:] = ISLANDS[:1000]
