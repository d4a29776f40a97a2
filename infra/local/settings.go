package local

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"wafleet/infra/local/devenv"
	"wafleet/shared/config"
)

// Settings reads the environment of `wafleet serve`. Variables that only repeat what an earlier start wrote into its
// dev.env are left out, so that a shell that sourced the file may start the system again.
func Settings(environ []string) (config.Serve, error) {
	first, err := config.Load[struct {
		Data string `env:"DATA" envDefault:".local"`
	}](environ)
	if err != nil {
		return config.Serve{}, err
	}
	file, _ := devenv.Read(filepath.Join(first.Data, devEnvName)) // what is wrong with the folder is told when it is opened
	settings, err := config.Load[config.Serve](slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		return file.Own(name, value)
	}))
	if err != nil {
		return config.Serve{}, err
	}
	if settings.Data, err = filepath.Abs(settings.Data); err != nil {
		return config.Serve{}, fmt.Errorf("find data folder: %w", err)
	}
	return settings, nil
}
