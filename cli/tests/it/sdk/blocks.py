"""Many commands at once that can only end together: each waits for all others through a cache volume.

    python blocks.py NONCE

Were they run one after another, none would end.
"""

import json
import sys

import anyio
import dagger
from dagger import dag

WIDTH = 4


async def main(nonce: str) -> None:
    ended: list[int] = []
    async with dagger.connection():
        base = (
            dag.container()
            .from_("alpine:3.20")
            .with_env_variable("NONCE", nonce)
            .with_mounted_cache("/meet", dag.cache_volume(f"meet-{nonce}"))
        )

        async def meet(place: int) -> None:
            wait = f"touch /meet/{place}; until [ $(ls /meet | wc -l) = {WIDTH} ]; do usleep 20000; done"
            await base.with_exec(["timeout", "60", "sh", "-c", wait]).sync()
            ended.append(place)

        async with anyio.create_task_group() as group:
            for place in range(WIDTH):
                group.start_soon(meet, place)
    print(json.dumps(sorted(ended)))


anyio.run(main, *sys.argv[1:])
