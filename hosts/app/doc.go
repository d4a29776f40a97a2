// Package app wires a connection host: leases, ingester, actors and whatsmeow, in the order in which they depend on each other.
package app
