class Bus:
    def __init__(self):
        self.listeners = []

    def on(self, listener):
        self.listeners.append(listener)


class Widget:
    def __init__(self, bus, number):
        self.body = f"widget {number}" * 10
        bus.on(self.changed)

    def changed(self):
        return self.body


BUS = Bus()


def step():
    for number in range(3000):
        Widget(BUS, number)
