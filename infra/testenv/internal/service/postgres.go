package service

import (
	"context"
	"os"

	"wafleet/infra/local/devpg"
)

// startPostgres starts a server without durability. PG_BIN counts here as it does for `make run`.
func startPostgres(ctx context.Context) (*Server, error) {
	pg, err := devpg.Start(ctx, devpg.Options{Ephemeral: true, BinDir: os.Getenv("PG_BIN")}) //nolint:forbidigo // a part of this command's main
	if err != nil {
		return nil, err
	}
	return &Server{URL: pg.URL(), done: pg.Done(), err: pg.Err, stop: pg.Stop}, nil
}
