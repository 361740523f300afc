class Node:
    alive = []

    def __init__(self):
        self.body = "n" * 200 + str(id(self))
        self.other = None

    def __del__(self):
        Node.alive.append(self)  # comes back to life


def step():
    import gc

    for _ in range(2000):
        one, other = Node(), Node()
        one.other, other.other = other, one
    del one, other
    gc.collect()
