package figures

// Target is what a figure is meant to reach, with everything on two cores.
type Target struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	AtLeast float64 `json:"atLeast,omitempty"` // a target has one of the two
	AtMost  float64 `json:"atMost,omitempty"`
	Met     bool    `json:"met"`
}

// Judge compares the result with its targets.
func (r *Result) Judge() {
	r.Targets = []Target{
		atMost("memoryPerSessionKB", r.MemoryPerSessionKB, 120),
		atLeast("loginsPerSecond", r.LoginsPerSecond, 400),
		atLeast("sendsPerSecond", r.SendsPerSecond, 300),
		atMost("acceptP99Ms", r.AcceptP99Ms, 20),
		atMost("p50Ms", r.P50Ms, 15),
		atMost("p99Ms", r.P99Ms, 80),
	}
}

// Target returns the target of a figure by its name in the JSON document, or false if it has none.
func (r *Result) Target(name string) (Target, bool) {
	for _, t := range r.Targets {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

func atLeast(name string, value, target float64) Target {
	return Target{Name: name, Value: value, AtLeast: target, Met: value >= target}
}

// atMost needs a value: 0 is a figure that could not be measured.
func atMost(name string, value, target float64) Target {
	return Target{Name: name, Value: value, AtMost: target, Met: value > 0 && value <= target}
}
