package figures

import (
	"math"
	"slices"
	"time"
)

// Percentile is the latency, in milliseconds, that this part of the given ones (0.5 for the median) does not exceed, by
// nearest rank. It is 0 if there are none.
func Percentile(latencies []time.Duration, part float64) float64 {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	rank := int(math.Ceil(part * float64(len(sorted))))
	return Round(float64(sorted[max(rank, 1)-1]) / float64(time.Millisecond))
}

// Median is the middle one of the values, the lower of two, or 0 if there are none: always one that was measured.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

// MedianOf is the median of what a function reads from each run.
func MedianOf[T any](runs []T, read func(T) float64) float64 {
	values := make([]float64, len(runs))
	for i, run := range runs {
		values[i] = read(run)
	}
	return Median(values)
}

// Round keeps two decimals.
func Round(value float64) float64 { return math.Round(value*100) / 100 }
