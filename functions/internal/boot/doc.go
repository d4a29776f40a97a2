// Package boot starts an API function on Lambda: settings, connections, the handler.
package boot
