package shard

import "time"

// OpenGate is a gate that is open for an hour.
func OpenGate() *Gate {
	g := newGate()
	g.trust(time.Now().Add(time.Hour))
	return g
}
