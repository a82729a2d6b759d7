"""Clients of a server that drains, in python-socketio."""

import asyncio
import json

from support import Client, control, next, run, same

BUSY = 8


async def in_a_moment(answer):
    await asyncio.sleep(0.5)
    return answer


async def clients_of_a_server_that_drains_come_back_to_another_one_and_lose_no_answer():
    options = {"reconnection": True, "reconnection_delay": 0.1, "reconnection_delay_max": 0.4}
    clients = [Client(**options) for _ in range(24)]
    for client in clients:
        client.io.on("question", in_a_moment)
    await asyncio.gather(*(client.connect() for client in clients))
    try:
        same(["old"] * 24, await asyncio.gather(*(client.ask("where") for client in clients)))
        gone = [client.listen("disconnect") for client in clients]
        back = [client.listen("connect") for client in clients]
        events = ("slow", "ask me")
        answers = [asyncio.create_task(client.ask(events[i % 2], i)) for i, client in enumerate(clients[:BUSY])]
        await control("drain")
        same(list(range(BUSY)), await asyncio.gather(*answers))
        for queue in gone:
            (reason,) = await next(queue)
            assert reason in ("transport close", "transport error"), reason
        for queue in back:
            await next(queue)
        same(["new"] * 24, await asyncio.gather(*(client.ask("where") for client in clients)))
        same({"refused": True, "left": 0}, json.loads(await control("drained")))
    finally:
        for client in clients:
            await client.io.disconnect()


run([clients_of_a_server_that_drains_come_back_to_another_one_and_lose_no_answer])
