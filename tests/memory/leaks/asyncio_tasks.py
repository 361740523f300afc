import asyncio

LOOP = asyncio.new_event_loop()
TASKS = set()


async def wait_for_ever(number):
    body = f"job {number}" * 20
    await LOOP.create_future()
    return body


async def start():
    for number in range(500):
        TASKS.add(LOOP.create_task(wait_for_ever(number)))
    await asyncio.sleep(0)


def step():
    LOOP.run_until_complete(start())
