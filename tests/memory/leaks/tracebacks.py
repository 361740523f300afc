ERRORS = []


def fail(number):
    body = f"payload {number}" * 100
    raise ValueError(len(body))


def step():
    for number in range(800):
        try:
            fail(number)
        except ValueError as error:
            ERRORS.append(error)
