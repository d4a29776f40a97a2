// Package history reads out of the simulator's journal what a fault did to the sockets of companies: who lost one, for how
// long, and whether two hosts were ever on the line at once. It only adds up; what is good or bad is not its business.
package history
