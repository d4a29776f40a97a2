package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"wafleet/shared/config"
	"wafleet/shared/store"
)

// migrateSettings is what `wafleet migrate` is told.
type migrateSettings struct {
	DatabaseURL string `env:"DATABASE_URL,notEmpty,unset"`
}

func newMigrate(p Process) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database of DATABASE_URL to this build's schema",
		Long: "Applies what is missing and waits for another process that migrates. Run it once before a rollout:\n" +
			"every process refuses a schema that is older than it needs.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := config.Load[migrateSettings](p.Environ)
			if err != nil {
				return usageError{err}
			}
			if err := store.Migrate(cmd.Context(), settings.DatabaseURL); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the database is up to date")
			return err //nolint:wrapcheck // standard output
		},
	}
}
