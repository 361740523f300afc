class Link:
    def __init__(self, after):
        self.after = after
        self.body = "x" * 100 + str(id(self))


HEAD = None


def step():
    global HEAD
    for _ in range(4000):
        HEAD = Link(HEAD)
