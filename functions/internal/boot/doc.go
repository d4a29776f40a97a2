// Package boot starts a function on Lambda: settings, connections, the handler.
package boot
