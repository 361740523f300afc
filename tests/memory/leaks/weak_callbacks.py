import weakref


class Target:
    pass


TARGET = Target()
REFS = []


def step():
    for number in range(4000):
        body = f"callback {number}" * 6
        REFS.append(weakref.ref(TARGET, lambda _, body=body: body))
