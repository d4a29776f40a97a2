// Package quiet silences the Signal library for whoever imports it. By itself the library prints to the standard output,
// and it sets up its logger at the first use, without a lock.
package quiet

import "go.mau.fi/libsignal/logger"

func init() {
	if logger.Logger == nil {
		logger.Logger = silent{}
	}
}

type silent struct{}

func (silent) Debug(string, string)   {}
func (silent) Info(string, string)    {}
func (silent) Warning(string, string) {}
func (silent) Error(string, string)   {}
func (silent) Configure(string)       {}
