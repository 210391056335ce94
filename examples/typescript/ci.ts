/**
 * Builds and tests a Go program in a container, exports the binary and publishes it as an image.
 *
 *     npm ci && npm run build
 *     treenail run -- node dist/ci.js SOURCE OUTPUT [IMAGE]
 *
 * SOURCE is the source of github.com/BurntSushi/toml, a Go module without dependencies;
 * OUTPUT is where its command `tomlv`, a validator of TOML files, goes;
 * IMAGE is where an image with nothing but that command is published, such as `localhost:5000/tomlv`.
 * Without it nothing is. What was published is pulled back by its digest, and run.
 * GO_IMAGE names the image to build in.
 *
 * It needs Node 20 or later, and the package `@dagger.io/dagger`. Without `treenail run` it starts treenail
 * itself, if _EXPERIMENTAL_DAGGER_CLI_BIN names that.
 */

import { connection, dag, File } from "@dagger.io/dagger";

async function main(sourcePath: string, outputPath: string, address?: string): Promise<void> {
  const source = dag.host().directory(sourcePath, { exclude: [".git"] });
  const go = dag
    .container()
    .from(process.env["GO_IMAGE"] ?? "golang:1.26-alpine")
    .withEnvVariable("CGO_ENABLED", "0")
    .withEnvVariable("GOPROXY", "off")
    .withEnvVariable("GOFLAGS", "-buildvcs=false")
    .withEnvVariable("GOCACHE", "/cache/go-build")
    .withMountedCache("/cache/go-build", dag.cacheVolume("go-build"))
    .withWorkdir("/src")
    .withDirectory("/src", source);
  const vetted = go.withExec(["go", "vet", "./..."]);
  const tested = go.withExec(["go", "test", "./..."]);
  const built = go.withExec(["go", "build", "-trimpath", "-o", "/out/tomlv", "./cmd/tomlv"]);
  const binary = built.file("/out/tomlv");

  // Nothing has run so far: the two checks and the build start here, side by side.
  const [, tests, exported] = await Promise.all([
    vetted.sync(),
    tested.stdout(),
    binary.export(outputPath),
  ]);
  console.log(tests.trim().split("\n")[0]);
  console.log(`exported ${exported}`);

  if (address !== undefined) {
    await publish(binary, address);
  }
}

/** Publishes an image of the binary alone, then runs it as anyone would who pulls it. */
async function publish(binary: File, address: string): Promise<void> {
  const image = dag.container().withFile("/tomlv", binary).withEntrypoint(["/tomlv"]);
  const published = await image.publish(address);
  console.log(`published ${published}`);

  const answer = await dag
    .container()
    .from(published)
    .withNewFile("/answer.toml", "answer = 42\n")
    .withExec(["-json", "/answer.toml"], { useEntrypoint: true })
    .stdout();
  console.log(`pulled and run: ${answer.trim().split(/\s+/).join(" ")}`);
}

const [source, output, address] = process.argv.slice(2);
if (source === undefined || output === undefined) {
  console.error("usage: ci SOURCE OUTPUT [IMAGE]");
  process.exit(1);
}
await connection(() => main(source, output, address));
