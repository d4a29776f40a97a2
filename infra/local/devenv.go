package local

import (
	"context"

	"wafleet/infra/local/devenv"
)

// devEnvName is the file in the data folder that tells shells, scripts and tests where everything is.
const devEnvName = "dev.env"

// writeDevEnv tells where everything is. Production has no such file: there nothing has to find its way by itself.
func (s *System) writeDevEnv(context.Context) error {
	if !s.settings.Mode.Dev() {
		return nil
	}
	file := devenv.File{
		{Name: "WAFLEET_URL", Value: s.url()},
		{Name: "WAFLEET_API_KEY", Value: s.adminKey},
	}
	if s.peer.controlURL != "" {
		file = append(file, devenv.Variable{Name: "WASIM_URL", Value: s.peer.controlURL})
	}
	file = append(file, devenv.Variable{Name: "DATABASE_URL", Value: s.databaseURL, Given: s.settings.DatabaseURL != ""})
	if s.peer.Endpoint != "" {
		given := s.settings.Endpoint != ""
		file = append(file,
			devenv.Variable{Name: "WHATSAPP_ENDPOINT", Value: s.peer.Endpoint, Given: given},
			devenv.Variable{Name: "WHATSAPP_ROOT_CA", Value: s.peer.RootCA, Given: given},
			devenv.Variable{Name: "WHATSAPP_NOISE_ROOT", Value: s.peer.NoiseRoot, Given: given},
		)
	}
	return file.Write(s.dir.Path(devEnvName))
}

// url is where the API listens.
func (s *System) url() string { return "http://" + s.api.Addr().String() }
