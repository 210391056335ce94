/**
 * What the tests ask of the TypeScript SDK.
 *
 *     probe failing NONCE | values NONCE | place FOLDER | connect
 *
 * Each prints one JSON object of what it saw; the tests judge it. NONCE makes the commands new to the daemon.
 */

import { CacheSharingMode, Client, connect, ExecError, ReturnType } from "@dagger.io/dagger";

type Seen = Record<string, unknown>;

async function failing(client: Client, nonce: string): Promise<Seen> {
  const seen: Seen = {};
  const base = client.container().from("alpine:3.20").withEnvVariable("NONCE", nonce);
  const broken = base.withExec(["sh", "-c", "echo out; echo err >&2; exit 42"]);
  // Nothing runs yet.
  const later = broken.withNewFile("/note", "x").withWorkdir("/tmp").withExec(["true"]);
  const failed = await execError(later.stdout());
  Object.assign(seen, {
    command: failed.cmd,
    exit_code: failed.exitCode,
    stdout: failed.stdout,
    stderr: failed.stderr,
    message: failed.message,
  });

  // Siblings of a failure still answer, and the service goes on.
  const [sibling, other] = await Promise.all([
    execError(broken.sync()),
    base.withExec(["echo", "fine"]).stdout(),
  ]);
  seen["sibling"] = sibling.exitCode;
  seen["other"] = other;

  // Asked for, a failure is an answer.
  seen["allowed"] = await base.withExec(["sh", "-c", "exit 3"], { expect: ReturnType.Any }).exitCode();

  // What is no failure of a command is another error.
  try {
    await client.container().from("no.such.image.invalid/x:1").sync();
  } catch (error) {
    seen["image"] = error instanceof ExecError ? "error of a command" : String(error);
  }
  return seen;
}

async function execError(work: Promise<unknown>): Promise<ExecError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ExecError) {
      return error;
    }
    throw error;
  }
  throw new Error("nothing failed");
}

async function values(client: Client, nonce: string): Promise<Seen> {
  const seen: Seen = {};
  const base = client
    .container()
    .from("alpine:3.20")
    .withEnvVariable("NONCE", nonce)
    .withEnvVariable("GREETING", "hello")
    .withWorkdir("/work");

  // A list of objects: first their IDs, then each by its own.
  for (const variable of await base.envVariables()) {
    const name = await variable.name();
    if (name === "NONCE" || name === "GREETING") {
      seen[name] = await variable.value();
    }
  }

  const secret = client.setSecret("password", `s3cret-${nonce}`);
  const script = `echo "got $PASSWORD"; test "$(cat /run/password)" = "$PASSWORD"; stat -c %a /run/password`;
  seen["scrubbed"] = await base
    .withSecretVariable("PASSWORD", secret)
    .withMountedSecret("/run/password", secret, { mode: 0o400 })
    .withExec(["sh", "-ec", script])
    .stdout();

  const cached = base.withMountedCache("/cache", client.cacheVolume(`volume-${nonce}`), {
    sharing: CacheSharingMode.Locked,
  });
  await cached.withExec(["sh", "-c", "echo kept > /cache/file"]).sync();
  seen["kept"] = await cached.withExec(["cat", "/cache/file"]).stdout();

  const tree = client.directory().withNewFile("a/b", "text");
  seen["entries"] = await base.withDirectory("/work", tree).directory(".").entries();

  const run = base.withExec(["sh", "-c", "echo one; echo two >&2"]);
  const id = await run.id();
  seen["id"] = id;
  seen["again"] = await client.loadContainerFromID(id).stdout();
  seen["synced"] = await (await run.sync()).workdir();
  return seen;
}

const [what, argument = ""] = process.argv.slice(2);
await connect(
  async (client) => {
    let seen: Seen = {};
    switch (what) {
      case "failing":
        seen = await failing(client, argument);
        break;
      case "values":
        seen = await values(client, argument);
        break;
      case "place":
        seen = { entries: await client.host().directory(".").entries() };
        break;
      case "connect":
        seen = { version: await client.version() };
        break;
      default:
        throw new Error(`unknown: ${what}`);
    }
    console.log(JSON.stringify(seen));
  },
  what === "place" ? { Workdir: argument } : {},
);
