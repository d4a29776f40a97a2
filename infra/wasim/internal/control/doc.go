// Package control is the simulator's control API: JSON over HTTP, by which tests, scripts and people make phones, let
// them scan and write, break things, and look at what happened. What it says is done by a [Network].
package control
