//go:build race

package wasim_test

// raced tells that the race detector is at work, which multiplies memory and time.
const raced = true
