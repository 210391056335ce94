"""Builds and tests a Go program in a container, exports the binary and publishes it as an image.

    treenail run -- python ci.py SOURCE OUTPUT [IMAGE]

SOURCE is the source of github.com/BurntSushi/toml, a Go module without dependencies;
OUTPUT is where its command `tomlv`, a validator of TOML files, goes;
IMAGE is where an image with nothing but that command is published, such as `localhost:5000/tomlv`.
Without it nothing is. What was published is pulled back by its digest, and run.
GO_IMAGE names the image to build in.

It needs the package `dagger-io` 0.19. Without `treenail run` it starts treenail itself, if
_EXPERIMENTAL_DAGGER_CLI_BIN names that.
"""

import asyncio
import os
import sys

import dagger
from dagger import dag


async def main(source_path: str, output_path: str, address: str | None = None) -> None:
    async with dagger.connection():
        source = dag.host().directory(source_path, exclude=[".git"])
        go = (
            dag.container()
            .from_(os.environ.get("GO_IMAGE", "golang:1.26-alpine"))
            .with_env_variable("CGO_ENABLED", "0")
            .with_env_variable("GOPROXY", "off")
            .with_env_variable("GOFLAGS", "-buildvcs=false")
            .with_env_variable("GOCACHE", "/cache/go-build")
            .with_mounted_cache("/cache/go-build", dag.cache_volume("go-build"))
            .with_workdir("/src")
            .with_directory("/src", source)
        )
        vetted = go.with_exec(["go", "vet", "./..."])
        tested = go.with_exec(["go", "test", "./..."])
        built = go.with_exec(["go", "build", "-trimpath", "-o", "/out/tomlv", "./cmd/tomlv"])
        binary = built.file("/out/tomlv")

        # Nothing has run so far: the two checks and the build start here, side by side.
        _, tests, exported = await asyncio.gather(
            vetted.sync(),
            tested.stdout(),
            binary.export(output_path),
        )
        print(tests.strip().splitlines()[0])
        print(f"exported {exported}")

        if address is not None:
            await publish(binary, address)


async def publish(binary: dagger.File, address: str) -> None:
    """Publishes an image of the binary alone, then runs it as anyone would who pulls it."""
    image = dag.container().with_file("/tomlv", binary).with_entrypoint(["/tomlv"])
    published = await image.publish(address)
    print(f"published {published}")

    answer = await (
        dag.container()
        .from_(published)
        .with_new_file("/answer.toml", "answer = 42\n")
        .with_exec(["-json", "/answer.toml"], use_entrypoint=True)
        .stdout()
    )
    print(f"pulled and run: {' '.join(answer.split())}")


asyncio.run(main(*sys.argv[1:]))
