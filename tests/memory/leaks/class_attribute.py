class Registry:
    seen = []

    def __init__(self, number):
        self.number = number
        Registry.seen.append(self)


def step():
    for number in range(5000):
        Registry(number)
