"""What the tests ask of the Python SDK, as of the others.

    python probe.py values NONCE | release NONCE | place FOLDER [project] | connect

Each prints one JSON object of what it saw; the tests judge it. NONCE makes the commands new to the daemon.
"""

import json
import sys

import anyio
import dagger
from dagger import dag
from dagger._engine._version import CLI_VERSION


async def values(nonce: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    base = (
        dag.container()
        .from_("alpine:3.20")
        .with_env_variable("NONCE", nonce)
        .with_env_variable("GREETING", "hello")
        .with_workdir("/work")
    )
    # A list of objects: first their IDs, then each by its own.
    for variable in await base.env_variables():
        name = await variable.name()
        if name in ("NONCE", "GREETING"):
            seen[name] = await variable.value()

    secret = dag.set_secret("password", f"s3cret-{nonce}")
    script = 'echo "got $PASSWORD"; test "$(cat /run/password)" = "$PASSWORD"; stat -c %a /run/password'
    seen["scrubbed"] = await (
        base.with_secret_variable("PASSWORD", secret)
        .with_mounted_secret("/run/password", secret, mode=0o400)
        .with_exec(["sh", "-ec", script])
        .stdout()
    )

    volume = dag.cache_volume(f"volume-{nonce}")
    cached = base.with_mounted_cache("/cache", volume, sharing=dagger.CacheSharingMode.LOCKED)
    await cached.with_exec(["sh", "-c", "echo kept > /cache/file"]).sync()
    seen["kept"] = await cached.with_exec(["cat", "/cache/file"]).stdout()

    tree = dag.directory().with_new_file("a/b", "text")
    seen["entries"] = await base.with_directory("/work", tree).directory(".").entries()

    run = base.with_exec(["sh", "-c", "echo one; echo two >&2"])
    seen["id"] = identity = await run.id()
    seen["again"] = await dag.load_container_from_id(dagger.ContainerID(identity)).stdout()
    seen["synced"] = await (await run.sync()).workdir()
    return seen


async def main(what: str, argument: str = "", *more: str) -> None:
    config = dagger.Config()
    if what == "place":
        config = dagger.Config(workdir=argument, config_path=argument if more else "")
    if what == "connect":
        # Someone may wait for this moment.
        print("starting", flush=True)
    async with dagger.connection(config):
        match what:
            case "values":
                seen = await values(argument)
            case "release":
                seen = await values(argument) | {"release": CLI_VERSION}
            case "place":
                seen = {"entries": await dag.host().directory(".").entries()}
            case "connect":
                seen = {"version": await dag.version()}
    print(json.dumps(seen))


anyio.run(main, *sys.argv[1:])
