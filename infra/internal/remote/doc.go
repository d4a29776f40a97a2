// Package remote is the two HTTP interfaces that the benchmark drives, as far as it needs them: the API of wafleet, as a
// customer calls it, and the control API of the simulator.
package remote
