// What the tests ask of the Go SDK.
//
//	probe failing NONCE | values NONCE | place FOLDER | connect [RUNNER]
//
// Each prints one JSON object of what it saw; the tests judge it. NONCE makes the commands new to the daemon.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"dagger.io/dagger"
	"golang.org/x/sync/errgroup"
)

func main() {
	ctx := context.Background()
	seen, err := probe(ctx, os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		panic(err)
	}
}

type object = map[string]any

func probe(ctx context.Context, what string, args []string) (seen object, err error) {
	options := []dagger.ClientOpt{}
	switch {
	case what == "place":
		options = append(options,
			dagger.WithWorkdir(args[0]), dagger.WithVerbosity(3), dagger.WithVersionOverride("v0.19.11"))
	case what == "connect" && len(args) == 1:
		options = append(options, dagger.WithRunnerHost(args[0]))
	}
	if what == "connect" {
		// Someone may wait for this moment.
		fmt.Println("starting")
	}
	client, err := dagger.Connect(ctx, options...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	switch what {
	case "failing":
		return failing(ctx, client, args[0])
	case "values":
		return values(ctx, client, args[0])
	case "place":
		entries, err := client.Host().Directory(".").Entries(ctx)
		return object{"entries": entries}, err
	case "connect":
		version, err := client.Version(ctx)
		return object{"version": version}, err
	}
	return nil, errors.New("unknown: " + what)
}

func failing(ctx context.Context, client *dagger.Client, nonce string) (object, error) {
	seen := object{}
	base := client.Container().From("alpine:3.20").WithEnvVariable("NONCE", nonce)
	broken := base.WithExec([]string{"sh", "-c", "echo out; echo err >&2; exit 42"})
	// Nothing runs yet.
	later := broken.WithNewFile("/note", "x").WithWorkdir("/tmp").WithExec([]string{"true"})
	_, err := later.Stdout(ctx)
	var failed *dagger.ExecError
	if !errors.As(err, &failed) {
		return nil, fmt.Errorf("no error of a command: %w", err)
	}
	seen["command"], seen["exit_code"] = failed.Cmd, failed.ExitCode
	seen["stdout"], seen["stderr"] = failed.Stdout, failed.Stderr
	seen["message"] = failed.Message()

	// Siblings of a failure still answer, and the service goes on.
	group := errgroup.Group{}
	group.Go(func() error {
		_, err := broken.Sync(ctx)
		var failed *dagger.ExecError
		if !errors.As(err, &failed) {
			return fmt.Errorf("no error of a command: %w", err)
		}
		seen["sibling"] = failed.ExitCode
		return nil
	})
	var other string
	group.Go(func() (err error) {
		other, err = base.WithExec([]string{"echo", "fine"}).Stdout(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	seen["other"] = other

	// Asked for, a failure is an answer.
	allowed, err := base.
		WithExec([]string{"sh", "-c", "exit 3"}, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}).
		ExitCode(ctx)
	if err != nil {
		return nil, err
	}
	seen["allowed"] = allowed

	// What is no failure of a command is another error.
	_, err = client.Container().From("no.such.image.invalid/x:1").Sync(ctx)
	if err == nil || errors.As(err, &failed) {
		return nil, fmt.Errorf("an image that is not there: %w", err)
	}
	seen["image"] = err.Error()
	return seen, nil
}

func values(ctx context.Context, client *dagger.Client, nonce string) (object, error) {
	seen := object{}
	base := client.Container().
		From("alpine:3.20").
		WithEnvVariable("NONCE", nonce).
		WithEnvVariable("GREETING", "hello").
		WithWorkdir("/work")

	// A list of objects: first their IDs, then each by its own.
	variables, err := base.EnvVariables(ctx)
	if err != nil {
		return nil, err
	}
	for _, variable := range variables {
		name, err := variable.Name(ctx)
		if err != nil {
			return nil, err
		}
		if name == "NONCE" || name == "GREETING" {
			if seen[name], err = variable.Value(ctx); err != nil {
				return nil, err
			}
		}
	}

	secret := client.SetSecret("password", "s3cret-"+nonce)
	script := `echo "got $PASSWORD"; test "$(cat /run/password)" = "$PASSWORD"; stat -c %a /run/password`
	if seen["scrubbed"], err = base.
		WithSecretVariable("PASSWORD", secret).
		WithMountedSecret("/run/password", secret, dagger.ContainerWithMountedSecretOpts{Mode: 0o400}).
		WithExec([]string{"sh", "-ec", script}).
		Stdout(ctx); err != nil {
		return nil, err
	}

	cached := base.WithMountedCache("/cache", client.CacheVolume("volume-"+nonce),
		dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeLocked})
	if _, err := cached.WithExec([]string{"sh", "-c", "echo kept > /cache/file"}).Sync(ctx); err != nil {
		return nil, err
	}
	if seen["kept"], err = cached.WithExec([]string{"cat", "/cache/file"}).Stdout(ctx); err != nil {
		return nil, err
	}

	tree := client.Directory().WithNewFile("a/b", "text")
	if seen["entries"], err = base.WithDirectory("/work", tree).Directory(".").Entries(ctx); err != nil {
		return nil, err
	}

	run := base.WithExec([]string{"sh", "-c", "echo one; echo two >&2"})
	id, err := run.ID(ctx)
	if err != nil {
		return nil, err
	}
	seen["id"] = id
	if seen["again"], err = client.LoadContainerFromID(id).Stdout(ctx); err != nil {
		return nil, err
	}
	synced, err := run.Sync(ctx)
	if err != nil {
		return nil, err
	}
	if seen["synced"], err = synced.Workdir(ctx); err != nil {
		return nil, err
	}
	return seen, nil
}
