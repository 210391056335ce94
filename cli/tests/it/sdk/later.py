"""A second program, in a session of its own, goes on where the first one stopped.

    python later.py ID
"""

import sys

import anyio
import dagger
from dagger import dag


async def main(identity: str) -> None:
    async with dagger.connection():
        container = dag.load_container_from_id(dagger.ContainerID(identity))
        print(await container.stdout(), end="")


anyio.run(main, *sys.argv[1:])
