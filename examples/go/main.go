// Builds and tests a Go program in a container, exports the binary and publishes it as an image.
//
//	treenail run -- go run . SOURCE OUTPUT [IMAGE]
//
// SOURCE is the source of github.com/BurntSushi/toml, a Go module without dependencies;
// OUTPUT is where its command tomlv, a validator of TOML files, goes;
// IMAGE is where an image with nothing but that command is published, such as localhost:5000/tomlv.
// Without it nothing is. What was published is pulled back by its digest, and run.
// GO_IMAGE names the image to build in.
//
// It needs Go, which brings the module dagger.io/dagger. Without `treenail run` it starts treenail
// itself, if _EXPERIMENTAL_DAGGER_CLI_BIN names that.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"dagger.io/dagger"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ci:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("usage: ci SOURCE OUTPUT [IMAGE]")
	}
	client, err := dagger.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()

	source := client.Host().Directory(args[0], dagger.HostDirectoryOpts{Exclude: []string{".git"}})
	golang := client.Container().
		From(cmp.Or(os.Getenv("GO_IMAGE"), "golang:1.26-alpine")).
		WithEnvVariable("CGO_ENABLED", "0").
		WithEnvVariable("GOPROXY", "off").
		WithEnvVariable("GOFLAGS", "-buildvcs=false").
		WithEnvVariable("GOCACHE", "/cache/go-build").
		WithMountedCache("/cache/go-build", client.CacheVolume("go-build")).
		WithWorkdir("/src").
		WithDirectory("/src", source)
	vetted := golang.WithExec([]string{"go", "vet", "./..."})
	tested := golang.WithExec([]string{"go", "test", "./..."})
	built := golang.WithExec([]string{"go", "build", "-trimpath", "-o", "/out/tomlv", "./cmd/tomlv"})
	binary := built.File("/out/tomlv")

	// Nothing has run so far: the two checks and the build start here, side by side.
	var tests, exported string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := vetted.Sync(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		tests, err = tested.Stdout(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		exported, err = binary.Export(groupCtx, args[1])
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(tests), "\n")
	fmt.Println(first)
	fmt.Println("exported", exported)

	if len(args) == 3 {
		return publish(ctx, client, binary, args[2])
	}
	return nil
}

// publish publishes an image of the binary alone, then runs it as anyone would who pulls it.
func publish(ctx context.Context, client *dagger.Client, binary *dagger.File, address string) error {
	image := client.Container().WithFile("/tomlv", binary).WithEntrypoint([]string{"/tomlv"})
	published, err := image.Publish(ctx, address)
	if err != nil {
		return err
	}
	fmt.Println("published", published)

	answer, err := client.Container().
		From(published).
		WithNewFile("/answer.toml", "answer = 42\n").
		WithExec([]string{"-json", "/answer.toml"}, dagger.ContainerWithExecOpts{UseEntrypoint: true}).
		Stdout(ctx)
	if err != nil {
		return err
	}
	fmt.Println("pulled and run:", strings.Join(strings.Fields(answer), " "))
	return nil
}
