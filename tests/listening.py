"""The end of servers of asyncio, which leave open the connections that they are accepting when they are closed (gh-109564)."""

import asyncio


def stop(server: asyncio.Server) -> None:
    """Accept nothing from now on, and close the server in the next turn of its loop, which is the running one."""
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    loop.call_soon(server.close)


async def stopped(server: asyncio.Server) -> None:
    """Stop a server, and return when it is closed."""
    stop(server)
    await asyncio.sleep(0)
