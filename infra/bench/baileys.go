package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"wafleet/infra/internal/figures"
)

const (
	baileysTimeout = 5 * time.Minute
	// baileysPatience is how long it may take after that to say that it was not done.
	baileysPatience = 10 * time.Second
	baileysWorkers  = 16
	// baileysPhone is the first of its accounts.
	baileysPhone = "79030000000"
)

// measureBaileys puts the same simulator under load by Baileys, after the connection host has ended, so that it has the
// machine for itself as well. What keeps it from running is noted and no error.
func (m *measurement) measureBaileys(ctx context.Context, folder string) error {
	if err := m.rig.StopHost(ctx); err != nil {
		return err
	}
	node, reason := findBaileys(folder)
	if reason != "" {
		m.result.BaileysSkipped = reason
		m.say("no Baileys: %s", reason)
		return nil
	}
	m.say("Baileys, %d sessions", m.plan.BaileysSessions)
	measured, err := m.runBaileys(ctx, node, filepath.Join(folder, "load.mjs"))
	if ctx.Err() != nil {
		return context.Cause(ctx) //nolint:wrapcheck // says it
	}
	if err != nil {
		m.result.BaileysSkipped = err.Error()
		m.say("no Baileys: %v", err)
		return nil
	}
	m.result.Baileys = measured
	m.say("Baileys: %.0f KB a session, %.0f logins/s, %.0f sends/s", measured.MemoryPerSessionKB, measured.LoginsPerSecond, measured.SendsPerSecond)
	return nil
}

// findBaileys returns the program, or why Baileys cannot run.
func findBaileys(folder string) (node, reason string) {
	if folder == "" {
		return "", "not wanted"
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return "", "node is missing"
	}
	if _, err := os.Stat(filepath.Join(folder, "..", "..", "interop", "node_modules", "baileys")); err != nil {
		return "", "Baileys is missing: npm ci --prefix infra/interop"
	}
	return node, ""
}

func (m *measurement) runBaileys(ctx context.Context, node, script string) (*figures.Baileys, error) {
	ctx, cancel := context.WithTimeout(ctx, baileysTimeout+baileysPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, script,
		"--control", m.rig.Simulator().URL(), "--sessions", strconv.Itoa(m.plan.BaileysSessions),
		"--sends", strconv.Itoa(m.plan.BaileysSends), "--workers", strconv.Itoa(baileysWorkers),
		"--first-phone", baileysPhone, "--timeout", strconv.Itoa(int(baileysTimeout.Seconds())))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run load.mjs: %w: %s", err, lastLine(said.String()))
	}
	var measured figures.Baileys
	if err := json.Unmarshal([]byte(lastLine(string(out))), &measured); err != nil {
		return nil, fmt.Errorf("read what load.mjs measured: %w", err)
	}
	if measured.Sessions == 0 {
		return nil, errors.New("load.mjs measured nothing")
	}
	return &measured, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
