// Command ops is the API function for the routes that the contract tags "ops".
package main

import (
	"context"
	"os"

	"wafleet/functions/internal/boot"
)

func main() {
	os.Exit(boot.API(context.Background(), os.Environ(), os.Stderr, "ops"))
}
