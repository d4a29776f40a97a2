// Package machine reads what the benchmark runs on and what its processes use: memory and CPU time of a process from
// /proc, the latency of the disk, the limit of open files. Its figures exist on Linux only.
package machine
