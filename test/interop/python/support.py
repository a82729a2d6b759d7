"""What the tests share: clients whose events can be waited for, the line to the Go test, and the report.

Nothing here sleeps; every wait ends with an event, or fails after PATIENCE.
"""

import asyncio
import contextlib
import json
import os
import time
import traceback
import urllib.parse
import urllib.request

import engineio.payload
import socketio

URL = os.environ["INTEROP_URL"]
CONTROL_URL = os.environ["INTEROP_CONTROL_URL"]
CUT_URL = os.environ["INTEROP_CUT_URL"]

# How the clients connect: "polling", "websocket" or "upgrade".
MODE = os.environ["INTEROP_MODE"]
TRANSPORTS = ["polling", "websocket"] if MODE == "upgrade" else [MODE]

# How long to wait for something that should happen at once, in seconds.
PATIENCE = 30

# By default, this client takes no more than 16 packets in one answer to a poll.
engineio.payload.Payload.max_decode_packets = 10_000


class Client:
    """A client of asyncio in one namespace."""

    def __init__(self, namespace="/", **options):
        self.namespace = namespace
        self.io = socketio.AsyncClient(**{"reconnection": False, "handle_sigint": False, **options})

    async def connect(self, **options):
        await self.io.connect(
            URL, transports=TRANSPORTS, namespaces=[self.namespace], wait_timeout=PATIENCE, **options
        )
        return self

    @property
    def id(self):
        return self.io.get_sid(self.namespace)

    def listen(self, event):
        """Collects the arguments of events from now on, for next()."""
        queue = asyncio.Queue()
        self.io.on(event, lambda *arguments: queue.put_nowait(arguments), namespace=self.namespace)
        return queue

    async def emit(self, event, *arguments):
        await self.io.emit(event, arguments, namespace=self.namespace)

    async def leave(self):
        """Disconnects, when the server has answered all POSTs.

        This client says goodbye in its next POST. If it is waiting for the answer to one, it
        leaves without a word, and waits for the next ping.
        """
        await asyncio.wait_for(self.io.eio.queue.join(), PATIENCE)
        await self.io.disconnect()

    async def ask(self, event, *arguments):
        """Emits an event and returns what the server acknowledges it with; a tuple if that is more than a value."""
        return await self.io.call(event, arguments, namespace=self.namespace, timeout=PATIENCE)


async def next(queue):
    return await asyncio.wait_for(queue.get(), PATIENCE)


@contextlib.asynccontextmanager
async def connected(namespace="/", **options):
    client = await Client(namespace).connect(**options)
    try:
        yield client
    finally:
        await client.leave()


async def control(path):
    """Has the Go test "stop" or "start" the server."""
    return await asyncio.to_thread(_post, f"{CONTROL_URL}/{path}")


async def noted(key):
    """Returns what the server noted under key, waiting until it has."""
    return await control("noted/" + urllib.parse.quote(key, safe=""))


async def cut():
    """Breaks all connections of clients, as a network does that fails."""
    await asyncio.to_thread(_post, CUT_URL)


def _post(url):
    request = urllib.request.Request(url, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.read().decode()


def same(want, got):
    assert type(want) is type(got) and want == got, f"got {got!r:.200}, want {want!r:.200}"


def run(tests):
    """Runs functions, plain or of asyncio, and tells the Go test of each, in lines of JSON."""
    for test in tests:
        name = test.__name__.replace("_", " ")
        print(json.dumps({"test": name, "begins": True}), flush=True)
        begin, error = time.monotonic(), ""
        try:
            if asyncio.iscoroutinefunction(test):
                asyncio.run(test())
            else:
                test()
        except Exception:
            error = traceback.format_exc()
        took = (time.monotonic() - begin) * 1000
        print(json.dumps({"test": name, "pass": not error, "error": error, "milliseconds": took}), flush=True)
