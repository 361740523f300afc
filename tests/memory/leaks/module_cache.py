class Session:
    def __init__(self, number):
        self.number = number
        self.note = f"session {number}" * 5


CACHE = {}


def step():
    for _ in range(3000):
        CACHE[len(CACHE)] = Session(len(CACHE))
