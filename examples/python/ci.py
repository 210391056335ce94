"""Builds and tests a Go program in a container and exports the binary.

    treenail run -- python ci.py SOURCE OUTPUT

SOURCE is the source of github.com/BurntSushi/toml, a Go module without dependencies;
OUTPUT is where its command `tomlv`, a validator of TOML files, goes.
GO_IMAGE names the image to build in.
"""

import asyncio
import os
import sys

import dagger
from dagger import dag


async def main(source_path: str, output_path: str) -> None:
    async with dagger.connection():
        source = dag.host().directory(source_path, exclude=[".git"])
        go = (
            dag.container()
            .from_(os.environ.get("GO_IMAGE", "golang:1.26-alpine"))
            .with_env_variable("CGO_ENABLED", "0")
            .with_env_variable("GOPROXY", "off")
            .with_env_variable("GOFLAGS", "-buildvcs=false")
            .with_mounted_cache("/root/.cache/go-build", dag.cache_volume("go-build"))
            .with_workdir("/src")
            .with_directory("/src", source)
        )
        vetted = go.with_exec(["go", "vet", "./..."])
        tested = go.with_exec(["go", "test", "./..."])
        built = go.with_exec(["go", "build", "-trimpath", "-o", "/out/tomlv", "./cmd/tomlv"])

        # Nothing has run so far: the two checks and the build start here, side by side.
        _, tests, exported = await asyncio.gather(
            vetted.sync(),
            tested.stdout(),
            built.file("/out/tomlv").export(output_path),
        )
        print(tests.strip().splitlines()[0])
        print(f"exported {exported}")


asyncio.run(main(*sys.argv[1:]))
