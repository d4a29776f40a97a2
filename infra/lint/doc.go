// Package lint proves that the linter's configuration does what it says: its test gives golangci-lint a small copy of the
// repository's layout in which every rule is broken once, and compares what is reported. `make lint/selftest` runs it; the
// build tag lintselftest keeps it out of `make test`, which does not build the linter.
package lint
