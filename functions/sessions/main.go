// Command sessions is the API function for the routes that the contract tags "sessions".
package main

import (
	"context"
	"os"

	"wafleet/functions/internal/boot"
)

func main() {
	os.Exit(boot.API(context.Background(), os.Environ(), os.Stderr, "sessions"))
}
