// Command wafleet runs and operates wafleet; `wafleet help` lists what it can do.
package main

import (
	"context"
	"os"

	"wafleet/infra/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Process{
		Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Version: version,
	}))
}
