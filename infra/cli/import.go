package cli

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	hosts "wafleet/hosts/app"
	"wafleet/shared/config"
	"wafleet/shared/phone"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// importSettings is what `wafleet import` is told by the environment.
type importSettings struct {
	DatabaseURL string `env:"DATABASE_URL,notEmpty,unset"`
	StockURL    string `env:"STOCK_DATABASE_URL,unset"`
	MasterKey   string `env:"MASTER_KEY,unset"`
	Data        string `env:"DATA" envDefault:".local"`
}

// importFlags is what its command line says.
type importFlags struct {
	from, companies string
	create, dryRun  bool
}

// importRate is the rate limit of companies that an import makes: that of any other company.
const importRate = 30

func newImport(p Process) *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Take over devices from whatsmeow's own store (sqlstore) on Postgres",
		Long: "Copies every device in a database of whatsmeow's own store, with its keys, Signal sessions and contacts, into the\n" +
			"database of DATABASE_URL. First stop the program that uses the devices, and never start it again: two programs with\n" +
			"the same keys lose messages. Nothing in the other database is changed. Sessions do not run until they are initialized.\n\n" +
			"--companies names a CSV file of phone number and companyId; a number that is not in it goes to the company that has the\n" +
			"number for its id. A device that is here already, a number that is linked and a session that runs are refused, and\n" +
			"the others go on. The keys are sealed with MASTER_KEY, or with the key in the folder DATA.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := config.Load[importSettings](p.Environ)
			if err != nil {
				return usageError{err}
			}
			if flags.from == "" {
				flags.from = settings.StockURL
			}
			if flags.from == "" {
				return usageError{errors.New("--from or STOCK_DATABASE_URL must name the database to import from")}
			}
			companies, err := readCompanies(flags.companies)
			if err != nil {
				return usageError{err}
			}
			return runImport(cmd.Context(), settings, flags, companies, cmd.OutOrStdout(), slog.New(slog.NewTextHandler(p.Stderr, nil)))
		},
	}
	cmd.Flags().StringVar(&flags.from, "from", "", "URL of the Postgres database to import from; search_path may name its schema")
	cmd.Flags().StringVar(&flags.companies, "companies", "", "CSV file: phone number, companyId")
	cmd.Flags().BoolVar(&flags.create, "create", false, "make companies that do not exist")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "try everything and change nothing")
	return cmd
}

func runImport(ctx context.Context, settings importSettings, flags importFlags, companies map[string]string, out io.Writer, logger *slog.Logger) error {
	pool, err := pgxpool.New(ctx, settings.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer pool.Close()
	if err := store.CheckSchema(ctx, pool); err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	source, err := pgxpool.New(ctx, flags.from)
	if err != nil {
		return fmt.Errorf("the database to import from: %w", err)
	}
	defer source.Close()
	keys, err := openVault(ctx, settings, pool)
	if err != nil {
		return err
	}
	installation, err := store.EnsureInstallation(ctx, pool, 0)
	if err != nil {
		return fmt.Errorf("read installation: %w", err)
	}
	all, err := hosts.Import(ctx, hosts.ImportDeps{Pool: pool, Vault: keys, Source: source, Logger: logger}, hosts.ImportConfig{
		Companies: companies, Create: flags.create, RatePerMinute: importRate, Shards: installation.Shards, DryRun: flags.dryRun,
		Told: func(i hosts.Imported) { fmt.Fprintln(out, importLine(i, flags.dryRun)) },
	})
	if err != nil {
		return err
	}
	failed := 0
	for _, i := range all {
		if i.Err != nil {
			failed++
		}
	}
	fmt.Fprintf(out, "%d of %d devices\n", len(all)-failed, len(all))
	if failed > 0 {
		return fmt.Errorf("%d of %d devices were not imported", failed, len(all))
	}
	return nil
}

func importLine(i hosts.Imported, dryRun bool) string {
	what := "imported"
	if dryRun {
		what = "would be imported"
	}
	if i.Err != nil {
		what = oneLine(i.Err)
	}
	return fmt.Sprintf("%s\t%s\t%s", i.Number, i.CompanyID, what)
}

// openVault opens the installation's keys, and makes sure that the master key is the one they were wrapped with.
func openVault(ctx context.Context, settings importSettings, pool *pgxpool.Pool) (*vault.Vault, error) {
	text := settings.MasterKey
	if text == "" {
		content, err := os.ReadFile(filepath.Join(settings.Data, "master.key"))
		if err != nil {
			return nil, fmt.Errorf("MASTER_KEY is not set, and the data folder has no key: %w", err)
		}
		text = strings.TrimSpace(string(content))
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != vault.KeySize {
		return nil, errors.New("the master key must be 64 hex digits")
	}
	wrapper, err := vault.NewLocal(key)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	keys := vault.New(wrapper, store.NewKeyring(pool))
	company, err := db.New().FindCompanyWithKey(ctx, pool)
	if errors.Is(err, pgx.ErrNoRows) {
		return keys, nil // any key will do
	}
	if err != nil {
		return nil, fmt.Errorf("look for a company: %w", err)
	}
	if _, err := keys.Seal(ctx, company, "master key check", nil); err != nil {
		return nil, fmt.Errorf("open what the database holds with this master key: %w", err)
	}
	return keys, nil
}

// readCompanies reads which number is whose; no file is no company.
func readCompanies(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--companies: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	reader := csv.NewReader(file)
	reader.FieldsPerRecord, reader.TrimLeadingSpace, reader.Comment = 2, true, '#'
	companies := map[string]string{}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return companies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("--companies: %w", err)
		}
		line, _ := reader.FieldPos(0)
		number, err := phone.Normalize(record[0])
		if err != nil {
			return nil, fmt.Errorf("--companies: line %d: %w", line, err)
		}
		if _, twice := companies[number]; twice {
			return nil, fmt.Errorf("--companies: line %d: the number is there twice", line)
		}
		companies[number] = strings.TrimSpace(record[1])
	}
}
