package figures

import (
	"time"

	"wafleet/infra/internal/machine"
)

// Result is everything that a benchmark found out. Figures with several runs are their medians.
type Result struct {
	Sessions           int     `json:"sessions"`
	MemoryPerSessionKB float64 `json:"memoryPerSessionKB"`
	LoginsPerSecond    float64 `json:"loginsPerSecond"`
	SendsPerSecond     float64 `json:"sendsPerSecond"`
	// P50Ms and P99Ms are from when a call was due to the message on the phone, at the offered Rate.
	P50Ms       float64 `json:"p50Ms"`
	P99Ms       float64 `json:"p99Ms"`
	AcceptP50Ms float64 `json:"acceptP50Ms"`
	AcceptP99Ms float64 `json:"acceptP99Ms"`
	// Lost messages were accepted and never arrived.
	Lost       int     `json:"lost"`
	Duplicates int     `json:"duplicates"`
	Refused    int     `json:"refused"`
	Rate       float64 `json:"rate"`

	Pairing Pairing `json:"pairing"`
	Idle    []Idle  `json:"idle"`
	Logins  []Login `json:"logins"`
	Open    []Open  `json:"open"`
	Closed  []Sends `json:"closed"`

	Baileys *Baileys `json:"baileys,omitempty"`
	// BaileysSkipped says why there is no Baileys.
	BaileysSkipped string `json:"baileysSkipped,omitempty"`

	Targets   []Target      `json:"targets"`
	Fsync     Latency       `json:"fsync"`
	Postgres  string        `json:"postgres"`
	Machine   machine.Info  `json:"machine"`
	Processes []string      `json:"processes"`
	Settings  []string      `json:"settings,omitempty"`
	StartedAt time.Time     `json:"startedAt"`
	Took      time.Duration `json:"tookNs"`
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
}

// Latencies summarises a distribution.
func Latencies(all []time.Duration) Latency {
	return Latency{P50Ms: Percentile(all, 0.50), P99Ms: Percentile(all, 0.99)}
}

// Pairing is how the sessions were made.
type Pairing struct {
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// HostCPUMs is the host's CPU time for one pairing.
	HostCPUMs float64 `json:"hostCpuMs"`
	// MemoryPerSessionKB is what the host that paired them holds when it is idle again.
	MemoryPerSessionKB float64 `json:"memoryPerSessionKB"`
}

// Login is one restart of the host.
type Login struct {
	// PerSecond counts from the start of the host's process to the last session connected.
	PerSecond float64 `json:"perSecond"`
	Seconds   float64 `json:"seconds"`
	// FirstSeconds is when the first session was connected, and SteadyPerSecond the rate from there on.
	FirstSeconds    float64 `json:"firstSeconds"`
	SteadyPerSecond float64 `json:"steadyPerSecond"`
	HostCPUMs       float64 `json:"hostCpuMs"`
	StopSeconds     float64 `json:"stopSeconds"` // of the host before it
}

// Idle is the host after a while without anything to do.
type Idle struct {
	MemoryPerSessionKB float64 `json:"memoryPerSessionKB"`
	RSSMB              float64 `json:"rssMB"`
	BaselineMB         float64 `json:"baselineMB"` // without sessions
	CPUPercent         float64 `json:"cpuPercent"` // of one core
	Heap               Heap    `json:"heap"`
}

// Heap is what Go's runtime says about the memory of the host, in KB a session: what it holds beyond a host without
// sessions. RSS may exceed it by pages that are free and not returned yet.
type Heap struct {
	InUseKB    float64 `json:"inUseKB"`
	StacksKB   float64 `json:"stacksKB"`
	IdleKB     float64 `json:"idleKB"` // free, and not returned to the system
	Goroutines float64 `json:"goroutines"`
}

// Cost is what one message takes.
type Cost struct {
	// CPUMs is CPU time in milliseconds by process.
	CPUMs map[string]float64 `json:"cpuMs"`
	// Commits of transactions, and kilobytes of the database's log.
	Commits float64 `json:"commits"`
	WALKB   float64 `json:"walKB"`
}

// Open is a run at a constant rate.
type Open struct {
	Accept  Latency `json:"accept"`
	ToPhone Latency `json:"toPhone"`
	// Handed is from the API's answer to the phone.
	Handed  Latency `json:"handed"`
	Calls   int     `json:"calls"`
	Refused int     `json:"refused"`
	Lost    int     `json:"lost"`
	Cost    Cost    `json:"cost"`
}

// Sends is a run as fast as it goes.
type Sends struct {
	PerSecond float64 `json:"perSecond"`
	ToPhone   Latency `json:"toPhone"`
	InFlight  int     `json:"inFlight"`
	Calls     int     `json:"calls"`
	Refused   int     `json:"refused"`
	Lost      int     `json:"lost"`
	Cost      Cost    `json:"cost"`
}

// Baileys is the part that is used of what the load client for Baileys prints.
type Baileys struct {
	Client               string  `json:"client"`
	Sessions             int     `json:"sessions"`
	Sends                int     `json:"sends"`
	Workers              int     `json:"workers"`
	MemoryPerSessionKB   float64 `json:"memoryPerSessionKB"`
	HeapPerSessionKB     float64 `json:"heapPerSessionKB"`
	AuthHeapPerSessionKB float64 `json:"authHeapPerSessionKB"`
	LoginsPerSecond      float64 `json:"loginsPerSecond"`
	LoginCPUMs           float64 `json:"loginCpuMs"`
	SendsPerSecond       float64 `json:"sendsPerSecond"`
	SendCPUMs            float64 `json:"sendCpuMs"`
	P50Ms                float64 `json:"p50Ms"`
	P99Ms                float64 `json:"p99Ms"`
	Failed               int     `json:"failed"`
	Lost                 int     `json:"lost"`
}
