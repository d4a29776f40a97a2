package message

import "time"

// BatchEndType is the type of the event that has a BatchEnd.
const BatchEndType = "batch.completed"

// BatchEnd is what an event tells of a batch of which nothing can be sent any more.
type BatchEnd struct {
	BatchID   string           `json:"batchId"`
	Name      string           `json:"name,omitempty"`
	Status    string           `json:"status"` // completed or canceled
	Total     int              `json:"total"`
	Accepted  int              `json:"accepted"`
	Invalid   int              `json:"invalid"`
	Counts    map[Status]int64 `json:"counts"` // messages by their status at that moment
	CreatedAt time.Time        `json:"createdAt"`
	EndedAt   time.Time        `json:"endedAt"`
}
