package message

// Lane is the place of a message in its company's outbox: a lower one goes first.
type Lane = int

// The lanes.
const (
	LaneUrgent      Lane = -1
	LaneInteractive Lane = 0
	LaneBulk        Lane = 1
)

// MaxDelay is how far ahead a message may be scheduled, in days.
const MaxDelay = 30
