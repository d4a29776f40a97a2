package service

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"wafleet/infra/local/devpg/cachedir"
)

// fetchJars returns a folder with a server and all that it depends on, as the pom says. The name has the version, so that
// another one is fetched into another folder.
func fetchJars(ctx context.Context, name string, pom []byte) (string, error) {
	cache, err := cachedir.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	err = cachedir.Fill(ctx, dir, func(ctx context.Context, temporary string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return missing("mvn", "maven", "maven")
		}
		file := filepath.Join(temporary, "pom.xml")
		if err := os.WriteFile(file, pom, 0o600); err != nil {
			return fmt.Errorf("write pom: %w", err)
		}
		cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+temporary, "-DincludeScope=runtime")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("fetch %s with mvn: %w: %s", name, err, firstError(out.String()))
		}
		return nil
	})
	return dir, err
}

// firstError is the line of Maven's output that tells the most.
func firstError(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "ERROR") {
			return strings.TrimSpace(line)
		}
	}
	return "no output"
}
