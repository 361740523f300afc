import logging


class Keep(logging.Handler):
    def __init__(self):
        super().__init__()
        self.buffer = bytearray(2000)


log = logging.getLogger("shop")


def step():
    for _ in range(300):
        log.addHandler(Keep())
