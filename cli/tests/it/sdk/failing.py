"""A command that fails three lazy calls before anyone looks.

    python failing.py NONCE

Prints one JSON object of what the SDK raised, once for one call and once for a task group.
"""

import json
import sys

import anyio
import dagger
from dagger import dag


def told(error: dagger.ExecError) -> dict[str, object]:
    return {
        "command": error.command,
        "exit_code": error.exit_code,
        "stdout": error.stdout,
        "stderr": error.stderr,
        "message": error.message,
        "path": error.errors[0].path,
    }


async def main(nonce: str) -> None:
    seen: dict[str, object] = {}
    async with dagger.connection():
        base = dag.container().from_("alpine:3.20").with_env_variable("NONCE", nonce)
        broken = base.with_exec(["sh", "-c", "echo out; echo err >&2; exit 42"])
        # Nothing runs yet.
        later = broken.with_new_file("/note", "x").with_workdir("/tmp").with_exec(["true"])
        try:
            await later.stdout()
        except dagger.ExecError as error:
            seen["exec"] = told(error)

        # Siblings of a failure still answer, and the service goes on.
        async with anyio.create_task_group() as group:

            async def fails() -> None:
                try:
                    await broken.sync()
                except dagger.ExecError as error:
                    seen["sibling"] = error.exit_code

            async def works() -> None:
                seen["other"] = await base.with_exec(["echo", "fine"]).stdout()

            group.start_soon(fails)
            group.start_soon(works)

        # Asked for, a failure is an answer.
        allowed = base.with_exec(["sh", "-c", "exit 3"], expect=dagger.ReturnType.ANY)
        seen["allowed"] = await allowed.exit_code()

        # What is no failure of a command is another error of the SDK.
        try:
            await dag.container().from_("no.such.image.invalid/x:1").sync()
        except dagger.ExecError:
            seen["image"] = "exec error"
        except dagger.QueryError as error:
            seen["image"] = str(error)
        try:
            await dag.cloud().trace_url()
        except dagger.QueryError as error:
            seen["unsupported"] = error.errors[0].extensions.get("code")
    print(json.dumps(seen))


anyio.run(main, *sys.argv[1:])
