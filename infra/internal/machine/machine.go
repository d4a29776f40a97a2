package machine

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Info is the machine, as far as figures depend on it.
type Info struct {
	System string `json:"system"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Go     string `json:"go"`
	// LoadAverage is that of the last minute, from before the benchmark: well above 0 means that others use the machine.
	LoadAverage float64 `json:"loadAverage"`
}

// Describe tells about this machine. What cannot be found out is left empty.
func Describe() Info {
	return Info{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPU: model(), Cores: runtime.NumCPU(), Go: runtime.Version(), LoadAverage: load(),
	}
}

func model() string {
	content, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func load() float64 {
	content, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(content), " ")
	average, err := strconv.ParseFloat(minute, 64)
	if err != nil {
		return 0
	}
	return average
}
