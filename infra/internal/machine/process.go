package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of CPU times in /proc, which the kernel's interface fixes.
const ticksPerSecond = 100

var errFormat = errors.New("unknown format")

// RSS is the resident memory of a process in bytes.
func RSS(pid int) (int64, error) {
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	rss, err := parseRSS(string(status))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return rss, nil
}

func parseRSS(status string) (int64, error) {
	_, rest, _ := strings.Cut(status, "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[1] != "kB" {
		return 0, errFormat
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: VmRSS", errFormat)
	}
	return kilobytes << 10, nil
}

// CPU is the CPU time that a process and its children have used, those that have ended and were waited for included.
func CPU(pid int) (time.Duration, error) {
	own, err := readStat(pid)
	if err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	ticks := own.ticks
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // fails on malformed patterns only
	for _, file := range files {
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if child, err := readStat(id); err == nil && child.parent == pid { // one that ends meanwhile is counted next time
			ticks += child.ticks
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

type stat struct {
	parent int
	ticks  int64
}

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read stat: %w", err)
	}
	return parseStat(string(line))
}

// parseStat reads a line of proc(5). The name of the program comes in parentheses and may hold anything.
func parseStat(line string) (stat, error) {
	const parent, user, childrenSystem = 1, 11, 14 // positions after the name
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) <= childrenSystem {
		return stat{}, errFormat
	}
	ppid, err := strconv.Atoi(fields[parent])
	if err != nil {
		return stat{}, fmt.Errorf("%w: parent", errFormat)
	}
	parsed := stat{parent: ppid}
	for _, field := range fields[user : childrenSystem+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("%w: times", errFormat)
		}
		parsed.ticks += ticks
	}
	return parsed, nil
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// OwnCPU is the CPU time that this process has used without its children.
func OwnCPU() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("read own CPU time: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
