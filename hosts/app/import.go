package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/hosts/internal/devicestore"
	"wafleet/shared/company"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// ImportDeps is what an import needs.
type ImportDeps struct {
	Pool   *pgxpool.Pool // of this installation
	Vault  *vault.Vault
	Source *pgxpool.Pool // where whatsmeow's own tables are; nothing in it is changed
	Logger *slog.Logger
}

// ImportConfig is what is imported for whom.
type ImportConfig struct {
	// Companies says whose a number is. A number that is not in it is of the company that is named by its digits.
	Companies map[string]string
	// Create makes the companies that do not exist, with this rate limit.
	Create        bool
	RatePerMinute int
	Shards        int
	DryRun        bool // does everything and undoes it
	Told          func(Imported)
}

// Imported is what became of one device.
type Imported struct {
	Number, CompanyID string
	Err               error // nil: imported, or it would be
}

// ErrImportRefused is for devices that are not imported although everything works.
var ErrImportRefused = errors.New("the device is not imported")

// Import copies the devices of a database of whatsmeow's own store (sqlstore), each with its Signal sessions, keys and
// contacts in one transaction, to companies of this installation. A device that exists, a number that is linked and a
// session that runs are refused, and the others go on. The program that used the devices has to be stopped before
// and must not be started again: two with the same keys lose messages. Sessions do not run until they are initialized.
func Import(ctx context.Context, deps ImportDeps, cfg ImportConfig) (all []Imported, err error) {
	devices, err := devicestore.StockDevices(ctx, deps.Source)
	if err != nil {
		return nil, err
	}
	im := &importing{ImportDeps: deps, ImportConfig: cfg, durable: store.New(deps.Pool, deps.Vault)}
	im.devices = devicestore.Open(deps.Pool, deps.Vault, deps.Logger)
	for _, device := range devices {
		number := numberOf(device.JID)
		result := Imported{Number: number, CompanyID: im.companyOf(number)}
		result.Err = im.one(ctx, result.CompanyID, device)
		if ctx.Err() != nil {
			return all, fmt.Errorf("import: %w", ctx.Err())
		}
		all = append(all, result)
		if cfg.Told != nil {
			cfg.Told(result)
		}
	}
	return all, nil
}

type importing struct {
	ImportDeps
	ImportConfig

	durable *store.Store
	devices *devicestore.Store
}

func (im *importing) companyOf(number string) string {
	if id, ok := im.Companies[number]; ok {
		return id
	}
	return number
}

// one imports a device.
func (im *importing) one(ctx context.Context, companyID string, device devicestore.StockDevice) error {
	if err := company.CheckID(companyID); err != nil {
		return refused(err)
	}
	if created, err := im.ensure(ctx, companyID); err != nil || created && im.DryRun {
		return err
	}
	err := im.durable.Link(ctx, store.NewLink{
		CompanyID: companyID, JID: device.JID, LID: device.LID.String, PushName: device.PushName, DryRun: im.DryRun,
		Keys: func(ctx context.Context, tx pgx.Tx) error {
			return im.devices.Import(ctx, tx, companyID, im.Source, device)
		},
	})
	switch {
	case errors.Is(err, store.ErrNoCompany), errors.Is(err, store.ErrLinked), errors.Is(err, store.ErrRunning), errors.Is(err, store.ErrNumberTaken):
		return refused(err)
	case exists(err):
		return refused(errors.New("the keys of this device are here already"))
	}
	return err
}

// ensure makes a company that does not exist, if it may. In a dry run it only says that it would: then what remains of the
// import cannot be tried.
func (im *importing) ensure(ctx context.Context, companyID string) (created bool, err error) {
	if !im.Create {
		return false, nil
	}
	_, err = im.durable.Queries().GetCompany(ctx, im.Pool, companyID)
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	if im.DryRun {
		return true, nil
	}
	_, err = im.durable.CreateCompany(ctx, store.NewCompany{
		CompanyID: companyID, Shard: company.Shard(companyID, im.Shards), PerMinute: im.RatePerMinute, RateMax: im.RatePerMinute,
	})
	if errors.Is(err, store.ErrCompanyExists) {
		return false, nil
	}
	return err == nil, err
}

func refused(why error) error { return fmt.Errorf("%w: %w", ErrImportRefused, why) }

// exists says that a device of this JID is stored for the company.
func exists(err error) bool {
	told, ok := errors.AsType[*pgconn.PgError](err)
	return ok && told.ConstraintName == "devices_pkey"
}

// numberOf is the phone number in a device's address.
func numberOf(jid string) string {
	user, _, _ := strings.Cut(jid, "@")
	number, _, _ := strings.Cut(user, ":")
	number, _, _ = strings.Cut(number, ".")
	return number
}
