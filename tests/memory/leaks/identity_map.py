class Row:
    __slots__ = ("key", "fields")

    def __init__(self, key):
        self.key = key
        self.fields = {"name": f"name {key}", "mail": f"mail {key}"}


class Database:
    def __init__(self):
        self.identity = {}

    def get(self, key):
        return self.identity.setdefault(("row", key), Row(key))


class Unit:
    def __init__(self):
        self.database = Database()


UNIT = Unit()


def step():
    start = len(UNIT.database.identity)
    for key in range(start, start + 2000):
        UNIT.database.get(key)
