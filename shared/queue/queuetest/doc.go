// Package queuetest is the conformance suite of the queue port: what package queue promises, as tests that every
// implementation and every server behind one has to pass.
//
// An emulator that is known to break a promise is listed in deviations.go, with the reason. A listed test has to fail on
// it: when it passes, the entry has to go, and the suite says so as loudly as it reports a failure.
package queuetest
