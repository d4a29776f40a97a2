package machine

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Fsyncs appends blocks as large as those of a database log to a new file in the folder, and returns how long the disk
// took to make each of them durable.
func Fsyncs(folder string, times int) (latencies []time.Duration, err error) {
	file, err := os.CreateTemp(folder, "fsync-")
	if err != nil {
		return nil, fmt.Errorf("measure disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := make([]byte, 8<<10)
	for range times {
		if _, err := file.Write(block); err != nil {
			return nil, fmt.Errorf("measure disk: %w", err)
		}
		start := time.Now()
		if err := file.Sync(); err != nil {
			return nil, fmt.Errorf("measure disk: %w", err)
		}
		latencies = append(latencies, time.Since(start))
	}
	return latencies, nil
}
