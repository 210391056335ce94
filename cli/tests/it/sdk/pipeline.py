"""A pipeline that touches what pipelines usually touch.

    python pipeline.py INPUT OUTPUT NONCE

INPUT is a folder with a program to build, OUTPUT a folder for what comes out, NONCE makes the commands
new to the daemon. Prints one JSON object of what it saw; the test judges it.
"""

import json
import sys

import anyio
import dagger
from dagger import dag


async def main(source: str, output: str, nonce: str) -> None:
    seen: dict[str, object] = {}
    # Connecting fetches the whole schema, and every later query is checked against it.
    async with dagger.connection():
        seen["version"] = await dag.version()
        base = (
            dag.container()
            .from_("alpine:3.20")
            .with_env_variable("NONCE", nonce)
            .with_env_variable("GREETING", "hello")
            .with_workdir("/work")
        )

        async def files() -> None:
            tree = dag.host().directory(source, exclude=["*.log", "skip"])
            built = (
                base.with_directory("/work", tree)
                .with_exec(["sh", "-c", "mkdir out && sort words.txt > out/sorted.txt && chmod 750 out/sorted.txt"])
                .directory("out")
            )
            seen["uploaded"] = await tree.entries()
            seen["built"] = await built.entries()
            seen["sorted"] = await built.file("sorted.txt").contents()
            await built.export(f"{output}/tree")
            seen["exported"] = await built.file("sorted.txt").export(f"{output}/one.txt")

        async def secrets() -> None:
            given = dag.set_secret("password", f"s3cret-{nonce}")
            run = (
                base.with_secret_variable("PASSWORD", given)
                .with_mounted_secret("/run/password", given, mode=0o400)
                .with_exec(["sh", "-c", 'echo "got $PASSWORD" && test "$(cat /run/password)" = "$PASSWORD" && stat -c %a /run/password'])
            )
            seen["scrubbed"] = await run.stdout()
            seen["plaintext"] = await given.plaintext() == f"s3cret-{nonce}"

        async def caches() -> None:
            volume = dag.cache_volume(f"volume-{nonce}")
            mounted = base.with_mounted_cache("/cache", volume)
            await mounted.with_exec(["sh", "-c", "echo kept > /cache/file"]).sync()
            seen["kept"] = await mounted.with_exec(["cat", "/cache/file"]).stdout()

        async def lists() -> None:
            variables = await base.env_variables()
            async with anyio.create_task_group() as group:

                async def read(variable: dagger.EnvVariable) -> None:
                    name = await variable.name()
                    if name in ("NONCE", "GREETING"):
                        seen[name] = await variable.value()

                for variable in variables:
                    group.start_soon(read, variable)

        async def identities() -> None:
            container = base.with_exec(["sh", "-c", "echo one; echo two >&2"])
            seen["id"] = await container.id()
            again = dag.load_container_from_id(dagger.ContainerID(seen["id"]))
            seen["stdout"], seen["stderr"] = await again.stdout(), await container.stderr()
            seen["exit code"] = await again.exit_code()
            # An object is awaited where only its side effect counts.
            synced = await container.sync()
            seen["synced"] = isinstance(synced, dagger.Container)
            seen["workdir"] = await synced.workdir()

        async with anyio.create_task_group() as group:
            for part in (files, secrets, caches, lists, identities):
                group.start_soon(part)

    print(json.dumps(seen))


anyio.run(main, *sys.argv[1:])
