"""A command that writes far more than a pipe holds.

    python talkative.py NONCE

The SDK that starts the service reads nothing of its standard error, unless it is told where to put it.
"""

import sys

import anyio
import dagger
from dagger import dag


async def main(nonce: str) -> None:
    async with dagger.connection():
        script = f"echo {nonce}; i=0; while [ $i -lt 4000 ]; do echo $i of some more words that nobody is going to read; i=$((i+1)); done"
        text = await dag.container().from_("alpine:3.20").with_exec(["sh", "-c", script]).stdout()
        print(len(text.splitlines()))


anyio.run(main, *sys.argv[1:])
