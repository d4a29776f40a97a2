package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const (
	exitFailed, exitUsage = 1, 2
)

// Process is what the command gets from the system.
type Process struct {
	Environ        []string
	Stdout, Stderr *os.File
	Version        string
}

// usageError marks what the user has to say differently.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Run runs the command with its arguments, without the program's name, and returns the exit code.
func Run(ctx context.Context, args []string, p Process) int {
	root := &cobra.Command{
		Use:           "wafleet",
		Short:         "WhatsApp messaging for many companies",
		Version:       p.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(p), newMigrate(p), newImport(p)) //nolint:contextcheck // a command has its own
	root.SetArgs(args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)

	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(p.Stderr, "wafleet:", oneLine(err))
	if errors.As(err, new(usageError)) || isUnknownCommand(err) {
		return exitUsage
	}
	return exitFailed
}

// usage marks what the check of arguments finds as wrong usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// isUnknownCommand recognises the one usage error that cobra makes by itself and does not mark.
func isUnknownCommand(err error) bool { return strings.HasPrefix(err.Error(), "unknown command") }

// oneLine keeps joined errors together, for people and for logs that count lines.
func oneLine(err error) string { return strings.Join(strings.Split(err.Error(), "\n"), "; ") }
