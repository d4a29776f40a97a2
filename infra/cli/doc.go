// Package cli is the `wafleet` command.
//
// Exit codes: 0, 1 for what failed, 2 for wrong usage. What went wrong is one line on standard error.
package cli
