// Command migrate brings the database of DATABASE_URL to the schema of this build. It is the task that runs
// before a rollout.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"wafleet/shared/config"
	"wafleet/shared/store"
)

// settings is all it needs to be told.
type settings struct {
	DatabaseURL string `env:"DATABASE_URL,notEmpty,unset" desc:"Postgres, directly"`
}

func main() {
	os.Exit(run(context.Background(), os.Environ(), os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, environ []string, stderr io.Writer) int {
	cfg, err := config.Load[settings](environ)
	if err == nil {
		err = store.Migrate(ctx, cfg.DatabaseURL)
	}
	if err != nil {
		fmt.Fprintln(stderr, "migrate:", err)
		return 1
	}
	return 0
}
