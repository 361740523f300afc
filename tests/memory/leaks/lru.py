from functools import lru_cache


@lru_cache(maxsize=None)
def render(number):
    return f"page {number}" * 10


def step():
    start = render.cache_info().currsize
    for number in range(start, start + 4000):
        render(number)
