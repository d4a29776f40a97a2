// Command batches is the API function for the routes that the contract tags "batches".
package main

import (
	"context"
	"os"

	"wafleet/functions/internal/boot"
)

func main() {
	ctx := context.Background()
	os.Exit(boot.Function(ctx, os.Environ(), os.Stderr, boot.API(ctx, "batches")))
}
